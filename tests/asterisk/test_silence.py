"""A caller that signals and then stays silent on the media side: the call ends by itself and leaves nothing."""

import time

import pytest

from peer import Peer
from sip_client import SipClient

@pytest.mark.ours
def test_a_call_whose_stun_checks_go_unanswered_ends_by_itself(shared):
    with SipClient(shared) as client, Peer(shared) as silent:
        assert client.register().status == 200
        time.sleep(1)
        before = len(shared.descriptors()), len(shared.threads()), shared.udp_ports()
        assert client.invite("600", silent.offer()).status == 200
        assert shared.udp_ports() > before[2], "the call has no socket of its own"
        request = client.receive(timeout=60)
        assert request.method == "BYE", request.first
        client.answer(request)
        shared.wait_for(lambda: "0 active channels" in shared.cli("core show channels"), 5, "the channel stays")
        shared.wait_for(lambda: shared.udp_ports() == before[2], 40, "a socket of the call stays")
        shared.wait_for(lambda: (len(shared.descriptors()), len(shared.threads())) <= before[:2], 10,
                        f"{before[:2]} descriptors and threads before; they are not back")
        assert client.register(expires=0).status == 200
