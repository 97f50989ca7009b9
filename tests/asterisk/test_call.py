"""Calls with a peer of our own: every packet is matched by its content."""

import time

import pytest

from peer import Peer
from sip_client import SipClient

def call(asterisk, target="600", **peer):
    """A registered client in an established call, and its connected peer; both are context managers to be closed."""
    client, media = SipClient(asterisk), Peer(asterisk, **peer)
    assert client.register().status == 200
    answer = client.invite(target, media.offer())
    assert answer.status == 200, answer.text
    media.connect(answer.body)
    return client, media

@pytest.mark.parametrize("codec", ["PCMU", "opus"])
def test_echo_brings_every_packet_back(shared, codec):
    client, media = call(shared, codec=codec)
    with client, media:
        media.talk()
        time.sleep(3)
        sent, echoed, gap = media.hush()
        assert client.bye().status == 200
    assert sent > 100
    assert sent - echoed <= 4 and gap < 1, (sent, echoed, gap)
    assert media.bad == 0
