"""Calls whose SRTP keys come in SDP (RFC 4568), with the module as the only SRTP provider."""

import os
import re
import struct
import time

import pytest

from asterisk import Asterisk
from configuration import Setup
from sdes_peer import SUITES, SdesPeer
from sip_client import SipClient

ENGINE = os.environ.get("ENGINE", "ours")
CHAN_SIP = {"dtlsenable": None, "dtlsverify": None, "dtlssetup": None, "dtlscertfile": None, "icesupport": "no", "rtcp_mux": "no",
            "avpf": "no", "force_avp": None, "encryption": "yes", "allow": "ulaw"}
CHAN_PJSIP = {"webrtc": None, "dtls_auto_generate_cert": None, "dtls_cert_file": None, "dtls_setup": None, "media_encryption": "sdes", "allow": "ulaw"}
CM, GCM = SUITES

@pytest.fixture(scope="module", params=os.environ.get("RIG_SUITES", "bullseye sid").split())
def exchange(request):
    """An instance whose user 3001 has a desk phone."""
    overrides = CHAN_SIP if request.param == "bullseye" else CHAN_PJSIP
    with Asterisk(request.param, Setup(engine=ENGINE, users={"3001": overrides})) as asterisk:
        yield asterisk
        assert asterisk.alive(), f"Asterisk died during the tests:\n{asterisk.said()}"

def registered(asterisk):
    """A client that has registered."""
    client = SipClient(asterisk, "3001")
    assert client.register().status == 200
    return client

def call(asterisk, lines=None, **peer):
    """A client and a peer in an established call to the echo, and the answer's (tag, suite)."""
    client, media = registered(asterisk), SdesPeer(asterisk, **peer)
    answer = client.invite("600", media.offer(lines(media) if lines else None))
    assert answer.status == 200, answer.text
    return client, media, media.connect(answer.body)

def comes_back(media, seconds=1.5):
    """What is sent comes back, and whatever comes is protected."""
    sent, echoed = media.converse(seconds)
    assert sent > 25 * seconds
    assert sent - echoed <= 4, (sent, echoed)
    assert media.bad == 0, f"{media.bad} packets that do not open"

@pytest.mark.parametrize("suite", [CM, pytest.param(GCM, marks=pytest.mark.ours)])
def test_the_echo_comes_back_protected(exchange, suite):
    client, media, chosen = call(exchange, suite=suite)
    with client, media:
        assert chosen == (1, suite)
        comes_back(media, 3)
        assert client.bye().status == 200

@pytest.mark.ours
def test_the_reports_on_the_other_port_are_protected(exchange):
    client, media, _ = call(exchange)
    with client, media:
        media.talk()
        time.sleep(11)
        media.hush()
        assert client.bye().status == 200
        reports = media.reports()
        assert reports and None not in reports, reports
        blocks = [report for report in reports if report[1] in (200, 201) and report[0] & 0x1F]
        assert any(struct.pack("!I", media.ssrc) in report for report in blocks), "none is about what we sent"

def test_the_first_line_that_can_be_used_is_answered(exchange):
    def lines(media):
        return ["a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + "A" * 40, media.crypto(2, " UNENCRYPTED_SRTP"), "a=crypto:3 " + CM + " inline:AAAA",
                media.crypto(4, "|2^10|1:1"), media.crypto(5, "|2^31"), "a=crypto:6 " + CM + " inline:" + "B" * 40]
    client, media, chosen = call(exchange, lines)
    with client, media:
        assert chosen == (5, CM)
        comes_back(media)
        assert client.bye().status == 200

@pytest.mark.parametrize("lines", [[], ["a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + "A" * 40], ["a=crypto:1 " + CM + " inline:" + "A" * 36],
                                   ["a=crypto:x " + CM + " inline:" + "A" * 40], ["a=crypto:1 " + CM + " inline:" + "A" * 40 + " KDR=0"]],
                         ids=["none", "suite", "length", "tag", "parameters"])
def test_an_offer_without_usable_key_is_refused(exchange, lines):
    with registered(exchange) as client, SdesPeer(exchange) as media:
        assert client.invite("600", media.offer(lines)).status == 488
    exchange.wait_for(lambda: "0 active channels" in exchange.cli("core show channels"), 5, "a channel stays")

def test_a_call_in_the_clear_is_refused(exchange):
    with registered(exchange) as client, SdesPeer(exchange) as media:
        assert client.invite("600", media.offer([], "RTP/AVP")).status == 488

@pytest.mark.ours
def test_what_comes_in_the_clear_or_with_another_key_is_not_heard(exchange):
    client, media, _ = call(exchange)
    with client, media:
        comes_back(media)
        protect = media.send_context.protect
        media.send_context.protect = lambda packet: packet
        assert media.converse(1)[1] == 0, "packets in the clear were echoed"
        media.send_context.protect = protect
        comes_back(media)
        media.new_key()
        assert media.converse(1)[1] == 0, "packets of a stranger were echoed"
        assert media.bad == 0
        assert client.bye().status == 200

def reinvite(client, media, lines=None):
    """A further offer in the call; the answer's (tag, suite), and whether its key is another."""
    before = media.other_key
    answer = client.request("INVITE", *client.dialog, body=media.offer(lines))
    assert answer.status == 200, answer.text
    return media.connect(answer.body), media.other_key != before

@pytest.mark.ours
def test_the_same_key_again_goes_on_over_the_rollover_of_both_counts(exchange):
    client, media, _ = call(exchange, sequence=65500)
    with client, media:
        comes_back(media, 2)
        assert media.sequence > 65536, "our count has not rolled over"
        assert reinvite(client, media, [media.crypto(7)]) == ((7, CM), False)
        comes_back(media)
        assert client.bye().status == 200

@pytest.mark.ours
def test_another_key_replaces_the_first(exchange):
    client, media, _ = call(exchange)
    with client, media:
        comes_back(media)
        media.new_key()
        assert reinvite(client, media)[0] == (1, CM)
        comes_back(media)
        media.suite = GCM
        media.new_key()
        assert reinvite(client, media) == ((1, GCM), True)
        comes_back(media)
        assert client.bye().status == 200

def test_asterisk_offers_keys(exchange):
    technology = exchange.setup.technology
    exchange.cli("module load res_clioriginate.so")
    with registered(exchange) as client, SdesPeer(exchange) as media:
        exchange.cli(f"channel originate {technology}/3001 extension 600@rig")
        offer = client.receive(15)
        while offer.method != "INVITE":
            client.answer(offer)
            offer = client.receive(15)
        assert re.search(r"^m=audio \d+ RTP/SAVP ", offer.body, re.MULTILINE), offer.body
        assert media.connect(offer.body) == (1, CM)
        accept(client, offer, media.offer())
        comes_back(media, 2)
        exchange.cli("channel request hangup all")
        exchange.wait_for(lambda: "0 active channels" in exchange.cli("core show channels"), 10, "a channel stays")

@pytest.mark.ours
def test_keys_that_another_provider_has_taken_let_nothing_flow(start, suite):
    asterisk = start(suite, Setup(stock_engine=True, users={"3001": CHAN_SIP if suite == "bullseye" else CHAN_PJSIP}))
    client, media, _ = call(asterisk)
    with client, media:
        sent, echoed = media.converse(2)
        assert sent > 50 and echoed == 0
        assert not media.received and not media.bad, "something was sent"
        assert client.bye().status == 200
    asterisk.wait_log(r"WARNING.*res_srtp has the keys")

def accept(client, invite, sdp):
    """Answers an INVITE with 200 and SDP, and takes the ACK."""
    via = re.findall(r"^Via:.*$", invite.text, re.MULTILINE | re.IGNORECASE)
    copied = [f"{name}: {invite.headers[name.lower()]}" for name in ("From", "Call-ID", "CSeq")]
    lines = ["SIP/2.0 200 OK", *(line.strip() for line in via), *copied, f"To: {invite.headers['to']};tag={os.urandom(4).hex()}",
             f"Contact: {client.contact}", "Content-Type: application/sdp", f"Content-Length: {len(sdp)}"]
    client.socket.text("\r\n".join(lines) + "\r\n\r\n" + sdp)
    while (request := client.receive(10)).method != "ACK":
        client.answer(request)
