"""A real Chromium, unmodified, calls through the web phone: registers over wss, talks, and counts what comes back."""

import json
import os
import subprocess

import pytest

from asterisk import SOURCE, Asterisk
from configuration import Setup

ENGINE = os.environ.get("ENGINE", "ours")

# What chan_pjsip's webrtc=yes stands for but its bundle=yes, which would put video on the transport of audio.
UNBUNDLED = {"webrtc": None, "bundle": "no", "use_avpf": "yes", "ice_support": "yes", "rtcp_mux": "yes", "media_use_received_transport": "yes",
             "media_encryption": "dtls", "dtls_verify": "fingerprint", "dtls_auto_generate_cert": None}

@pytest.fixture(scope="module", params=os.environ.get("RIG_SUITES", "bullseye sid").split())
def exchange(request):
    """An instance with the web phone on its HTTPS server."""
    video = UNBUNDLED if request.param == "sid" and ENGINE == "ours" else {}
    with Asterisk(request.param, Setup(engine=ENGINE, users={"1001": {}, "1004": video}), phone=True) as asterisk:
        yield asterisk
        assert asterisk.alive(), f"Asterisk died during the tests:\n{asterisk.said()}"

def drive(asterisk, *arguments, timeout=90):
    """What call.mjs measured; a call that was not made fails the test with its sentence."""
    command = asterisk.inside(["node", os.path.join(SOURCE, "tests/browser/call.mjs"), *arguments])
    done = subprocess.run(command, env=asterisk.environment(), capture_output=True, text=True, timeout=timeout, check=False)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert "error" not in result, f"{result['error']}\n{done.stderr}"
    assert not result["said"], result["said"]
    return result

def comes_back(result):
    """What every call to the echo must show: encrypted, heard, and hardly a packet lost (none later, with our engine)."""
    audio = result["audio"]
    assert result["dtls"] == "connected" and result["tls"] == "DTLS 1.2"
    assert result["srtpCipher"] in ("SRTP_AES128_CM_HMAC_SHA1_80", "SRTP_AEAD_AES_128_GCM")
    assert audio["energy"] > 0 and result["loudest"] > 0, "nothing was heard"
    assert audio["sent"] > 45 * result["seconds"]
    assert audio["received"] >= (0.99 if ENGINE == "ours" else 0.95) * audio["sent"], result
    if ENGINE == "ours":
        assert result["later"] == 0, result

@pytest.mark.parametrize("codec", ["opus", "PCMU"])
def test_echo(exchange, codec):
    # A round trip is known once a report of the other side answers one of Chromium's, which come every 5 s.
    result = drive(exchange, "--codec", codec, "--seconds", "10")
    assert result["audio"]["codec"] == codec
    comes_back(result)
    assert result["audio"]["rtt"] is not None, "no RTCP report came"
    assert result["ended"].startswith("Ended"), result["ended"]
    exchange.wait_for(lambda: "0 active channels" in exchange.cli("core show channels"), 5, "the channel stays")

def test_echo_with_video(exchange):
    result = drive(exchange, "--user", "1004", "--video", "--seconds", "6")
    comes_back(result)
    video = result["video"]
    assert video["codec"] == "VP8"
    assert video["received"] >= (0.95 if ENGINE == "ours" else 0.5) * video["sent"], video

def test_digits_are_read(exchange):
    since = len(exchange.log())
    drive(exchange, "--target", "602", "--codec", "opus", "--digits", "4711", "--seconds", "4")
    assert exchange.wait_log(r"rig read the digits 4711", since=since)
