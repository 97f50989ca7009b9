"""`webrtc capture`: what Wireshark then reads is the call in the clear."""

import os
import re
import stat
import subprocess
import time

import pytest

from test_call import call

pytestmark = pytest.mark.ours

def fields(path, ports):
    """SSRC, payload type and payload of every RTP packet that tshark finds."""
    decode = [part for port in ports for part in ("-d", f"udp.port=={port},rtp")]
    done = subprocess.run(
        ["tshark", "-r", path, *decode, "-Y", "rtp", "-T", "fields",
         "-e", "rtp.ssrc", "-e", "rtp.p_type", "-e", "rtp.payload"],
        capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]

def test_a_capture_is_the_call_in_the_clear(shared):
    name = f"/var/log/asterisk/call-{os.getpid()}.pcapng"
    outside = os.path.join(shared.base, "log", os.path.basename(name))
    assert "Writing" in shared.cli(f"webrtc capture start {name}")
    assert "already" in shared.cli(f"webrtc capture start {name}.2"), "one capture at a time"
    client, media = call(shared)
    with client, media:
        media.talk()
        time.sleep(2)
        sent, echoed, _ = media.hush()
        assert client.bye().status == 200
    told = shared.cli("webrtc capture stop")
    taken = int(re.search(r"(\d+) packets", told).group(1))
    assert "No capture" in shared.cli("webrtc show capture")

    assert stat.S_IMODE(os.stat(outside).st_mode) == 0o600
    found = fields(outside, sorted(ports_of(outside)))
    ours = [row for row in found if int(row[0], 16) == media.ssrc]
    theirs = [row for row in found if int(row[0], 16) != media.ssrc]
    assert abs(len(ours) - sent) <= 2 and abs(len(theirs) - echoed) <= 2, (len(ours), sent, len(theirs), echoed)
    assert taken >= len(found)
    assert {row[2] for row in theirs} <= {row[2] for row in ours}, "what went out is not what came in, decrypted"

def ports_of(path):
    """Every UDP port in the capture."""
    done = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "udp.port"], capture_output=True, text=True, check=True)
    return {port for line in done.stdout.splitlines() for port in line.split(",")}

def test_a_capture_never_overwrites_a_file(shared):
    assert "exists" in shared.cli("webrtc capture start /etc/asterisk/asterisk.conf")
    assert "no IP address" in shared.cli("webrtc capture start /tmp/x.pcapng nonsense")
    assert "No capture" in shared.cli("webrtc capture stop")
