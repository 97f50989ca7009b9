"""SIP over the WebSocket: chan_sip on Asterisk 16, chan_pjsip on 22."""

import pytest

from sip_client import SipClient
from websocket_client import TEXT, frame

SDP = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

def registered(asterisk):
    """The users whose contact Asterisk holds."""
    listed = asterisk.cli("sip show peers" if asterisk.setup.technology == "SIP" else "pjsip show contacts")
    if asterisk.setup.technology == "SIP":
        return {line.split("/")[0] for line in listed.splitlines() if "(Unspecified)" not in line and "/" in line.split(" ")[0]}
    return {line.split()[1].split("/")[0] for line in listed.splitlines() if line.strip().startswith("Contact:") and "sip:" in line}

def test_register_and_unregister(shared, tls):
    with SipClient(shared, "1001", tls) as client:
        assert client.register().status == 200
        assert "1001" in registered(shared)
        assert client.register(expires=0).status == 200
        assert "1001" not in registered(shared)

def test_a_wrong_password_is_refused(shared, tls):
    with SipClient(shared, "1001", tls, password="wrong") as client:
        assert client.register().status in (401, 403)

@pytest.mark.ours
def test_two_requests_in_one_record_are_both_answered(shared, tls):
    # chan_sip polls the descriptor that ast_websocket_fd gives; stock answers the second when a third comes.
    with SipClient(shared, "1002", tls) as client:
        messages = []
        for number in (1, 2):
            client.cseq = number
            uri = f"sip:{client.host}"
            messages.append(frame(TEXT, client.message("OPTIONS", uri, f"<{uri}>").encode()))
        client.socket.send(b"".join(messages))
        answered = {client.receive(timeout=2).headers["cseq"] for _ in messages}
        assert answered == {"1 OPTIONS", "2 OPTIONS"}

def test_an_offer_that_is_no_webrtc_is_refused_and_the_connection_lives(shared, tls):
    with SipClient(shared, "1001", tls) as client:
        assert client.register().status == 200
        assert client.invite("600", SDP).status == 488
        assert client.register(expires=0).status == 200

def test_a_client_that_leaves_is_forgotten_and_comes_back(shared, tls):
    for _ in range(3):
        with SipClient(shared, "1002", tls) as client:
            assert client.register().status == 200
    with SipClient(shared, "1002", tls) as client:
        assert client.register().status == 200
        assert client.register(expires=0).status == 200
