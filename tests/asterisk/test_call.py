"""Calls with a peer of our own: every packet is matched by its content."""

import os
import re
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

@pytest.mark.ours
def test_opus_keeps_its_silences(shared):
    """DTX: nothing for 400 ms, one octet, and a talk spurt whose first packet has the marker; in-band FEC is payload."""
    client, media = call(shared, codec="opus")
    with client, media:
        sent = {}
        for turn in range(60):
            begins = turn % 20 == 0
            if begins:
                media.timestamp += 20 * 960
                media.pump(0.4)
            # One 20 ms frame (RFC 6716 §3.1), which FEC would make longer and DTX leaves empty.
            payload = bytes([0x78 if turn % 2 else 0x08, turn]) + os.urandom(70 + turn) if turn % 20 != 19 else bytes([0x78 + turn // 20 % 3])
            sent[payload] = (begins, media.timestamp)
            media.send_rtp(payload, marker=begins)
            media.pump(0.02)
        media.pump(0.5)
        assert client.bye().status == 200
    echoes = [(packet[12:], packet[1] >> 7 == 1, int.from_bytes(packet[4:8], "big")) for _, packet in media.received if packet[12:] in sent]
    assert len(echoes) > 55
    _, _, first = echoes[0]
    offset = first - sent[echoes[0][0]][1]
    for payload, marker, timestamp in echoes[1:]:
        assert (marker, timestamp - offset & 0xFFFFFFFF) == (sent[payload][0], sent[payload][1] & 0xFFFFFFFF)

def test_digits_of_the_caller_are_read(shared):
    since = len(shared.log())
    client, media = call(shared, "602")
    with client, media:
        for digit in "47*1":
            media.send_digit(digit)
        shared.wait_log(r"rig read the digits 47\*1", since=since)

def test_digits_of_the_dialplan_reach_the_caller(shared):
    client, media = call(shared, "603")
    with client, media:
        media.talk()
        request = client.receive(timeout=20)
        media.hush()
        assert request.method == "BYE"
        client.answer(request)
        assert "".join(digit for digit, _ in media.digits()) == "1234#"
        assert all(duration >= 400 for _, duration in media.digits()), media.digits()

def test_the_prompt_is_heard(shared):
    client, media = call(shared, "601")
    with client, media:
        media.talk()
        time.sleep(2)
        media.hush()
        assert client.bye().status == 200
        assert {packet[1] & 0x7F for _, packet in media.received} == {0}, "a payload type that was not agreed on"
        sound = b"".join(packet[12:] for _, packet in media.received)
        assert len(sound) > 8000 and len(set(sound)) > 30, "silence"

@pytest.mark.ours
def test_reports_describe_the_stream(shared):
    client, media = call(shared)
    with client, media:
        media.talk()
        time.sleep(11)
        media.hush()
        assert client.bye().status == 200
        reports = [packet for _, packet in media.rtcp_received if packet[1] in (200, 201) and packet[0] & 0x1F]
        assert reports, "no report came in 11 s"
        last = reports[-1][28 if reports[-1][1] == 200 else 8:]
        assert int.from_bytes(last[:4], "big") == media.ssrc
        assert last[4:8] == bytes(4), "loss is reported on a path that loses nothing"
        assert int.from_bytes(last[8:12], "big") >= 1000
        assert all(202 in (packet[offset + 1] for offset in offsets(packet)) for packet in reports), "no CNAME"

@pytest.mark.ours
def test_the_session_is_shown(shared):
    client, media = call(shared, profiles="SRTP_AEAD_AES_128_GCM")
    with client, media:
        media.talk()
        shared.wait_for(lambda: len(media.received) > 50, 10, "no echo came")
        media.socket.sendto(b"\x80\x00" + bytes(20), media.remote)
        host, port = media.address
        def row():
            lines = [line.split() for line in shared.cli("webrtc show sessions").splitlines() if f" {host}:{port} " in line]
            return lines[0] if lines else None
        fields = shared.wait_for(row, 5, "the session is not in the list")
        assert re.match(r"(PJ)?SIP/1001-", fields[0]) and fields[2:4] == ["connected", "connected"]
        assert int(fields[4]) >= 50 and int(fields[5]) >= 50 and fields[6] == "0"
        shown = shared.cli("webrtc show sessions verbose")
        mine = re.search(rf"^{re.escape(fields[0])}\n((?:  .*\n)+)", shown, re.MULTILINE).group(1)
        media.hush()
        assert client.bye().status == 200
    for wanted in (r"ICE +connected, controlled", rf"pair +\S+ to {re.escape(host)}:{port}", r"DTLS +connected, DTLSv1\.2, ECDHE-ECDSA-",
                   r"SRTP +\S*AES_128_GCM", r"received +\d+ packets, .* 0 lost, jitter [\d.]+ ms", r"round trip ", r"discarded +1 "):
        assert re.search(wanted, mine), f"{wanted} is not in\n{mine}"

def offsets(compound):
    """Where the packets of an RTCP compound begin."""
    place, found = 0, []
    while place < len(compound):
        found.append(place)
        place += 4 * (int.from_bytes(compound[place + 2:place + 4], "big") + 1)
    return found

@pytest.mark.ours
@pytest.mark.parametrize("profile", ["SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM"])
def test_each_srtp_profile_serves(shared, profile):
    client, media = call(shared, profiles=profile)
    with client, media:
        assert media.dtls.profile() == profile
        media.talk()
        time.sleep(1)
        sent, echoed, _ = media.hush()
        assert client.bye().status == 200
        assert sent - echoed <= 2

@pytest.mark.ours
@pytest.mark.parametrize("setup", ["active", "passive", "actpass"])
def test_each_dtls_role_serves(shared, setup):
    client, media = call(shared, setup=setup)
    with client, media:
        media.talk()
        time.sleep(1)
        sent, echoed, _ = media.hush()
        assert client.bye().status == 200
        assert sent - echoed <= 2

@pytest.mark.ours
def test_a_certificate_with_another_fingerprint_gets_no_media(shared):
    client, media = SipClient(shared), Peer(shared)
    with client, media:
        assert client.register().status == 200
        offer = media.offer()
        value = offer.split("sha-256 ")[1][:95]
        answer = client.invite("600", offer.replace(value, value[3:] + ":00"))
        assert answer.status == 200
        with pytest.raises((AssertionError, ConnectionError)):
            media.connect(answer.body, timeout=5)
            media.talk()
            time.sleep(2)
            assert media.hush()[1] > 0, "the media of a stranger was echoed"
        shared.wait_for(lambda: "0 active channels" in shared.cli("core show channels"), 60, "the call of a stranger stays")
