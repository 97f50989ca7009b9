"""A real Chromium, unmodified, calls through the web phone: registers over wss, talks, and counts what comes back."""

import json
import os
import subprocess
import time

import pytest

from asterisk import SOURCE, Asterisk
from configuration import Setup
from network import Network

ENGINE = os.environ.get("ENGINE", "ours")

# What chan_pjsip's webrtc=yes stands for but its bundle=yes, which puts video on the transport of audio.
UNBUNDLED = {"webrtc": None, "bundle": "no", "use_avpf": "yes", "ice_support": "yes", "rtcp_mux": "yes", "media_use_received_transport": "yes",
             "media_encryption": "dtls", "dtls_verify": "fingerprint", "dtls_auto_generate_cert": None}

# Suites and channel drivers: 16 has both, 22 chan_pjsip alone.
EXCHANGES = {"bullseye": ["SIP", "PJSIP"], "sid": ["PJSIP"]}

@pytest.fixture(scope="module", params=[
    f"{suite}-{technology}" for suite in os.environ.get("RIG_SUITES", "bullseye sid").split() for technology in EXCHANGES[suite]])
def exchange(request):
    """An instance with the web phone on its HTTPS server; 1004 and 1005 are the users with video, 1006 without BUNDLE."""
    suite, technology = request.param.split("-")
    users = {"1001": {}, "1004": {}, "1005": {}, "1006": UNBUNDLED if technology == "PJSIP" else {}}
    with Asterisk(suite, Setup(engine=ENGINE, technology=technology, users=users), phone=True) as asterisk:
        yield asterisk
        assert asterisk.alive(), f"Asterisk died during the tests:\n{asterisk.said()}"

def start(asterisk, *arguments, network=None):
    """Begins to drive a Chromium, in the instance's network or at the far end of a Network."""
    command = (network or asterisk).inside(["node", os.path.join(SOURCE, "tests/browser/call.mjs"), *arguments])
    return subprocess.Popen(command, env=asterisk.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

def finish(process, timeout=90):
    """What call.mjs measured; a call that was not made fails the test with its sentence."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert out, errors
    result = json.loads(out)
    assert "error" not in result, f"{result['error']}\n{errors}"
    assert not result["said"], result["said"]
    return result

def drive(asterisk, *arguments, network=None):
    """Both."""
    return finish(start(asterisk, *arguments, network=network))

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

@pytest.mark.ours
def test_g722_is_passed_through(exchange):
    result = drive(exchange, "--codec", "G722", "--seconds", "4")
    assert result["audio"]["codec"] == "G722"
    comes_back(result)

def shown(decoded, sent, share):
    """Asserts that this share of the frames sent was decoded at the other end."""
    assert sent["framesSent"] > 50, sent
    assert decoded["framesDecoded"] >= share * sent["framesSent"], (decoded, sent)

@pytest.mark.parametrize("user", ["1004", "1006"])
def test_echo_with_video(exchange, user):
    result = drive(exchange, "--user", user, "--video", "--seconds", "10")
    comes_back(result)
    video = result["video"]
    assert video["codec"] == "VP8"
    assert video["received"] >= (0.99 if ENGINE == "ours" else 0.5) * video["sent"], video
    if ENGINE == "ours":  # stock: 3 of 150
        shown(video, video, 0.95)

@pytest.mark.ours
def test_h264_is_passed_through(exchange):
    result = drive(exchange, "--user", "1004", "--video", "--video-codec", "H264", "--seconds", "6")
    assert result["video"]["codec"] == "H264"
    shown(result["video"], result["video"], 0.95)

@pytest.mark.ours
def test_video_on_a_network_that_loses(exchange):
    with Network(exchange, loss=5, delay=0.02, jitter=0.005, duplicate=1) as network:
        result = drive(exchange, "--user", "1004", "--video", "--seconds", "10", network=network)
        assert network.lost > 0.03 * network.passed
    video = result["video"]
    shown(video, video, 0.8)
    assert video["asked"]["nack"] > 0 and video["wasAsked"]["nack"] > 0 and video["resent"] > 0, video

@pytest.mark.ours
def test_two_browsers_see_each_other(exchange):
    since = len(exchange.log())
    # It has measured when the other side hangs up, which closes DTLS.
    callee = start(exchange, "--user", "1005", "--answer", "--video", "--seconds", "9")
    try:
        exchange.wait_log(r"(Registered SIP '1005'|Added contact 'sip:.*' to AOR '1005')", since=since, timeout=30)
        time.sleep(1)
        caller = drive(exchange, "--user", "1004", "--target", "1005", "--video", "--seconds", "10")
        callee = finish(callee)
    finally:
        if isinstance(callee, subprocess.Popen):
            callee.kill()
    for here, there in ((caller, callee), (callee, caller)):
        assert here["dtls"] == "connected" and here["video"]["codec"] == "VP8"
        assert here["audio"]["received"] >= 0.85 * there["audio"]["sent"], (here, there)
        shown(here["video"], there["video"], 0.85)

def test_digits_are_read(exchange):
    since = len(exchange.log())
    drive(exchange, "--target", "602", "--codec", "opus", "--digits", "4711", "--seconds", "4")
    assert exchange.wait_log(r"rig read the digits 4711", since=since)
