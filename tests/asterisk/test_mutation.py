"""Ten thousand seeded mutations at each port, from strangers and from the very address of a call, beside a call.

The call goes on undisturbed and Asterisk lives. `RIG_SEED` repeats a run; the seed is in the name of a failure.
"""

import contextlib
import os
import random
import socket
import struct
import time

import pytest

from peer import REQUEST, Peer, attribute, stun
from sip_client import SipClient
from websocket_client import BINARY, CLOSE, CONTINUATION, PING, TEXT, WebSocket, frame

pytestmark = pytest.mark.ours

MUTATIONS = 10_000
SEED = int(os.environ.get("RIG_SEED", "20261122"))

def mutate(chance, packet):
    """A copy with a few bytes changed, cut off, doubled or put in; never empty."""
    data = bytearray(packet)
    for _ in range(chance.randint(1, 4)):
        place, how = chance.randrange(len(data)) if data else 0, chance.randrange(6)
        if how == 0 and data:
            data[place] ^= 1 << chance.randrange(8)
        elif how == 1 and data:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how == 2:
            del data[place:]
        elif how == 3:
            data[place:place] = chance.randbytes(chance.randint(1, 20))
        elif how == 4:
            data += data[place:place + chance.randint(1, 60)]
        elif len(data) >= place + 2:
            data[place:place + 2] = chance.choice((b"\0\0", b"\xff\xff", b"\x80\0", b"\0\1"))
    return bytes(data) or b"\0"

def templates(peer):
    """Valid packets of each kind that a media port takes."""
    username = attribute(0x0006, f"{peer.other_ufrag}:{peer.ufrag}".encode())
    checks = [username, attribute(0x0024, b"\x6e\0\x01\xff"), attribute(0x802A, os.urandom(8)), attribute(0x0025, b"")]
    hello = bytes.fromhex("16fefd0000000000000000003a0100002e000000000000002e" "fefd") + bytes(range(32)) + bytes.fromhex("0000" "0004c02bc02f" "0100" "0004000e0000")
    alert = bytes.fromhex("15fefd00000000000000090002") + b"\x02\x28"
    data = bytes.fromhex("17fefd00010000000000050020") + bytes(32)
    rtp = struct.pack("!BBHII", 0x80, 0, 7, 160, 99) + b"\xd5" * 160
    extended = struct.pack("!BBHIIIHH", 0x92, 0, 8, 320, 99, 1, 0xBEDE, 1) + b"\x10\xaa\0\0" + b"\xd5" * 160
    report = struct.pack("!BBHIIIIII", 0x81, 200, 12, 99, 1, 2, 3, 4, 5) + bytes(24)
    feedback = struct.pack("!BBHIIHH", 0x81, 205, 3, 99, 98, 1, 0xFFFF) + struct.pack("!BBHII", 0x81, 206, 2, 99, 98)
    return {
        "STUN": [stun(REQUEST, os.urandom(12), checks, peer.other_password), stun(0x0101, os.urandom(12), [attribute(0x0020, b"\0\1\x12\x34\1\2\3\4")], peer.other_password),
                 stun(0x0111, os.urandom(12), [attribute(0x0009, b"\0\0\4\x57conflict")], peer.other_password), stun(0x0011, os.urandom(12), [], peer.other_password)],
        "DTLS": [hello, alert, data, bytes.fromhex("14fefd0000000000000001000101")],
        "RTP": [rtp, extended],
        "RTCP": [report, feedback, struct.pack("!BBHIBB4sxx", 0x81, 202, 3, 99, 1, 4, b"peer"), struct.pack("!BBHI", 0x81, 203, 1, 99)],
    }

def establish(asterisk, user):
    """A call to the echo by `user`, with its client and peer."""
    client, peer = SipClient(asterisk, user), Peer(asterisk)
    assert client.register().status == 200
    answer = client.invite("600", peer.offer())
    assert answer.status == 200
    peer.connect(answer.body)
    return client, peer

def still_fine(asterisk, steady):
    """The undisturbed call kept its packets and its pace, and Asterisk lives."""
    sent, echoed, gap = steady.hush()
    assert asterisk.alive(), asterisk.said()
    assert sent - echoed <= max(4, sent // 100), f"seed {SEED}: {echoed} of {sent} packets came back"
    assert gap < 1, f"seed {SEED}: nothing came for {gap:.1f} s"

@pytest.mark.parametrize("kind", ["STUN", "DTLS", "RTP", "RTCP"])
def test_media_port(start, suite, kind):
    asterisk = start(suite)
    chance = random.Random(f"{SEED} {kind}")
    first, steady = establish(asterisk, "1001")
    second, victim = establish(asterisk, "1002")
    with asterisk.network():
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with first, steady, second, victim, stranger:
        steady.talk()
        packets = templates(steady)[kind]
        for turn in range(MUTATIONS):
            packet = mutate(chance, chance.choice(packets))
            # A third each: a stranger at the steady call, a stranger at the victim, the victim's own validated address.
            # Media kinds from there are also sent under valid protection, so that they reach the parsers behind it.
            if turn % 3 < 2:
                stranger.sendto(packet, (steady if turn % 3 == 0 else victim).remote)
            elif kind == "RTP" and len(packet) > 12 and packet[0] & 0x1F == 0:
                victim.socket.sendto(victim.send_context.protect(b"\x80" + packet[1:]), victim.remote)
            elif kind == "RTCP" and len(packet) >= 8:
                victim.socket.sendto(victim.send_context.protect_rtcp(packet), victim.remote)
            else:
                victim.socket.sendto(packet, victim.remote)
            if turn % 50 == 0:
                time.sleep(0.005)
        time.sleep(1)
        still_fine(asterisk, steady)
        assert first.bye().status == 200
        asterisk.cli("channel request hangup all")
        asterisk.wait_for(lambda: "0 active channels" in asterisk.cli("core show channels"), 10, "a channel stays")

def test_websocket_port(start, suite):
    asterisk = start(suite)
    chance = random.Random(f"{SEED} WebSocket")
    client, steady = establish(asterisk, "1001")
    frames = [frame(TEXT, b"hello"), frame(BINARY, bytes(300)), frame(PING, b"x"), frame(CLOSE, b"\x03\xe8"),
              frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b"), frame(TEXT, client.message("OPTIONS", "sip:x", "<sip:x>").encode())]
    with client, steady:
        steady.talk()
        victim, used, done, tried = None, 0, 0, 0
        while done < MUTATIONS:
            tried += 1
            assert tried < 10 * MUTATIONS, "the server takes no connections any more"
            try:
                if victim is None:
                    victim, used = WebSocket(asterisk, tls=tried % 2 == 0, protocols=("echo",) if tried % 4 < 3 else ("sip",)), 0
                victim.send(mutate(chance, chance.choice(frames)))
                used, done = used + 1, done + 1
            except OSError:
                used = 20
            if used >= 20:
                client.idle()
                if victim:
                    victim.socket.close()
                victim = None
        still_fine(asterisk, steady)
        assert client.bye().status == 200

def finish(connection):
    """Ends the sending side and waits for the server to end its own: Asterisk's queue of connections holds five."""
    with contextlib.suppress(ConnectionError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

def test_handshake(start, suite):
    asterisk = start(suite)
    chance = random.Random(f"{SEED} handshake")
    client, steady = establish(asterisk, "1001")
    request = (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: echo\r\n\r\n")
    with client, steady:
        steady.talk()
        with asterisk.network():
            for turn in range(MUTATIONS):
                if turn % 100 == 0:
                    client.idle()
                with socket.create_connection((asterisk.address, 8088), 10) as connection:
                    connection.sendall(mutate(chance, request))
                    finish(connection)
        still_fine(asterisk, steady)
        with WebSocket(asterisk) as echo:
            echo.text("alive")
            assert echo.message() == (TEXT, b"alive")
        assert client.bye().status == 200
