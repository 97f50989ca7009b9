"""A caller that signals and then stays silent on the media side: the call ends by itself and leaves nothing."""

import pytest

from configuration import Setup
from peer import Peer
from sip_client import SipClient

@pytest.mark.ours
def test_a_call_whose_stun_checks_go_unanswered_ends_by_itself(start, suite):
    asterisk = start(suite, Setup(webrtc="[rtc]\nice_timeout=5\n"))
    with SipClient(asterisk) as client, Peer(asterisk) as silent:
        assert client.register().status == 200
        # The echo loads its sound and codec caches once; what a first call leaves for good is no leak.
        before = None
        for _ in range(2):
            assert client.invite("600", silent.offer()).status == 200
            assert "1 session(s)" in asterisk.cli("webrtc show sessions")
            request = client.receive(timeout=30)
            assert request.method == "BYE", request.first
            client.answer(request)
            asterisk.wait_for(lambda: "0 active channels" in asterisk.cli("core show channels"), 10, "the channel stays")
            # chan_sip keeps a dialogue and its RTP instances for 32 s after the BYE.
            asterisk.wait_for(lambda: "0 session(s)" in asterisk.cli("webrtc show sessions"), 45, "a session stays")
            if before is None:
                before = len(asterisk.descriptors()), len(asterisk.threads()), asterisk.udp_ports()
        asterisk.wait_for(lambda: asterisk.udp_ports() == before[2], 10, "a socket of the call stays")
        asterisk.wait_for(lambda: (len(asterisk.descriptors()), len(asterisk.threads())) <= before[:2], 10,
                          f"{before[:2]} descriptors and threads before; they are not back")
        assert client.register(expires=0).status == 200
