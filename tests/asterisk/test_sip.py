"""SIP over the WebSocket: chan_sip on Asterisk 16, chan_pjsip on 22."""

import pytest

from sip_client import SipClient
from websocket_client import TEXT, frame

SDP = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP {0}\r\na=rtpmap:{0} {1}\r\n"

def user(tls):
    """A user of the transport; chan_sip keeps to the one that sip.conf names for the peer."""
    return "1001" if tls else "1003"

def registered(asterisk):
    """The users whose contact Asterisk holds."""
    listed = asterisk.cli("sip show peers" if asterisk.setup.technology == "SIP" else "pjsip show contacts")
    if asterisk.setup.technology == "SIP":
        return {line.split("/")[0] for line in listed.splitlines() if "(Unspecified)" not in line and "/" in line.split(" ")[0]}
    return {line.split()[1].split("/")[0] for line in listed.splitlines() if line.strip().startswith("Contact:") and "sip:" in line}

def test_register_and_unregister(shared, tls):
    with SipClient(shared, user(tls), tls) as client:
        assert client.register().status == 200
        assert user(tls) in registered(shared)
        assert client.register(expires=0).status == 200
        assert user(tls) not in registered(shared)

def test_a_wrong_password_is_refused(shared, tls):
    with SipClient(shared, user(tls), tls, password="wrong") as client:
        assert client.register().status in (401, 403)

@pytest.mark.ours
def test_two_requests_in_one_record_are_both_answered(shared, tls):
    # chan_sip polls the descriptor that ast_websocket_fd gives; stock answers the second when a third comes.
    with SipClient(shared, user(tls), tls) as client:
        messages = []
        for number in (1, 2):
            client.cseq = number
            uri = f"sip:{client.host}"
            messages.append(frame(TEXT, client.message("OPTIONS", uri, f"<{uri}>").encode()))
        client.socket.send(b"".join(messages))
        answered = {client.receive(timeout=2).headers["cseq"] for _ in messages}
        assert answered == {"1 OPTIONS", "2 OPTIONS"}

def test_an_offer_that_cannot_be_is_refused_and_the_connection_lives(shared, tls):
    offers = [SDP.format(99, "nothing/8000")]
    if shared.setup.technology == "SIP":
        offers.append(SDP.format(0, "PCMU/8000"))  # no encryption; chan_pjsip lets it pass
    with SipClient(shared, user(tls), tls) as client:
        assert client.register().status == 200
        for offer in offers:
            assert client.invite("600", offer).status == 488
        assert client.register(expires=0).status == 200

def test_a_client_that_leaves_is_forgotten_and_comes_back(shared, tls):
    for _ in range(3):
        with SipClient(shared, user(tls), tls) as client:
            assert client.register().status == 200
    with SipClient(shared, user(tls), tls) as client:
        assert client.register().status == 200
        assert client.register(expires=0).status == 200
