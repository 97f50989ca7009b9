"""The WebSocket server on /ws, seen from the wire."""

import socket
import time

import pytest

from websocket_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Refused, WebSocket, frame

def test_echo(shared, tls):
    with WebSocket(shared, tls) as client:
        assert client.protocol == "echo"
        client.text("hello")
        assert client.message() == (TEXT, b"hello")
        client.send(frame(BINARY, bytes(range(256))))
        assert client.message() == (BINARY, bytes(range(256)))

def test_a_ping_is_answered_with_its_payload(shared, tls):
    with WebSocket(shared, tls) as client:
        client.send(frame(PING, b"are you there"))
        assert client.receive() == (True, PONG, b"are you there")

def test_a_close_is_answered_and_the_connection_ended(shared, tls):
    with WebSocket(shared, tls) as client:
        client.send(frame(CLOSE, b"\x03\xe8bye"))
        _, opcode, payload = client.receive()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
        with pytest.raises((EOFError, ConnectionResetError)):
            client.receive(timeout=5)

@pytest.mark.ours
def test_two_frames_in_one_record_are_both_answered_at_once(shared, tls):
    # ASTERISK-21930: what TLS has decrypted already does not wake a poll of the descriptor.
    with WebSocket(shared, tls) as client:
        client.send(frame(TEXT, b"one") + frame(TEXT, b"two"))
        assert client.message(timeout=1) == (TEXT, b"one")
        assert client.message(timeout=1) == (TEXT, b"two")

@pytest.mark.ours
def test_fragments_in_one_record_are_put_together_at_once(shared, tls):
    with WebSocket(shared, tls) as client:
        client.send(frame(TEXT, b"he", fin=False) + frame(PING, b"!") + frame(CONTINUATION, b"llo"))
        assert client.receive(timeout=1) == (True, PONG, b"!")
        assert client.message(timeout=1) == (TEXT, b"hello")

@pytest.mark.ours
def test_a_frame_behind_the_upgrade_request_in_one_record_is_answered(shared, tls):
    with WebSocket(shared, tls, early=frame(TEXT, b"early")) as client:
        assert client.message(timeout=1) == (TEXT, b"early")

@pytest.mark.ours
def test_64_kib_byte_by_byte_are_echoed_whole(shared, tls):
    message = bytes(0x20 + index * 7 % 95 for index in range(65536))
    with WebSocket(shared, tls) as client:
        whole = frame(TEXT, message)
        for index in range(len(whole)):
            client.send(whole[index:index + 1])
        assert client.message(timeout=20) == (TEXT, message)

@pytest.mark.ours
def test_64_kib_in_fragments_of_one_byte_are_echoed_whole(shared, tls):
    message = bytes(0x20 + index * 11 % 95 for index in range(65536))
    with WebSocket(shared, tls) as client:
        frames = [frame(TEXT if index == 0 else CONTINUATION, message[index:index + 1], fin=index == len(message) - 1)
                  for index in range(len(message))]
        for index in range(0, len(frames), 512):
            client.send(b"".join(frames[index:index + 512]))
        assert client.message(timeout=20) == (TEXT, message)

@pytest.mark.parametrize("length", [125, 126, 127, *(pytest.param(length, marks=pytest.mark.ours) for length in (65535, 65536))])
def test_lengths_at_which_the_header_changes(shared, tls, length):
    with WebSocket(shared, tls) as client:
        client.send(frame(BINARY, b"\x5a" * length))
        assert client.message() == (BINARY, b"\x5a" * length)

@pytest.mark.parametrize("where", range(1, 15))
def test_a_header_in_two_segments_with_a_pause(shared, tls, where):
    whole = frame(TEXT, b"x" * 300)
    with WebSocket(shared, tls) as client:
        client.send(whole[:where])
        time.sleep(0.02)
        client.send(whole[where:])
        assert client.message() == (TEXT, b"x" * 300)

@pytest.mark.ours
def test_more_than_the_limit_is_refused_with_1009(shared, tls):
    with WebSocket(shared, tls) as client:
        client.send(frame(TEXT, b"x" * 70000)[:4096])
        _, opcode, payload = client.receive()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xf1")

@pytest.mark.ours
def test_a_length_of_two_to_the_63_costs_nothing(shared, tls):
    with WebSocket(shared, tls) as client:
        client.send(b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"\x00\x00\x00\x00" + b"x" * 100)
        _, opcode, payload = client.receive()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xf1")
    with open(f"/proc/{shared.pid}/stat", encoding="ascii") as file:
        before = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    time.sleep(0.5)
    with open(f"/proc/{shared.pid}/stat", encoding="ascii") as file:
        after = sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))
    assert after - before <= 10, "the server still works on a frame whose sender has gone"

@pytest.mark.ours
@pytest.mark.parametrize("broken, code", [
    (frame(TEXT, b"x", mask=None), 1002),
    (frame(TEXT, b"x", rsv=4), 1002),
    (frame(3, b"x"), 1002),
    (frame(11, b""), 1002),
    (frame(PING, b"x" * 126), 1002),
    (frame(PING, b"", fin=False), 1002),
    (frame(CONTINUATION, b"x"), 1002),
    (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    (frame(TEXT, b"\xff\xfe"), 1007),
    (frame(CLOSE, b"\x03"), 1002),
    (frame(CLOSE, b"\x03\xed"), 1002),
], ids=["unmasked", "reserved bit", "opcode 3", "opcode 11", "long ping", "ping in fragments", "stray continuation",
        "message in a message", "not UTF-8", "close of one byte", "close 1005"])
def test_what_rfc_6455_forbids_closes_with_its_code(shared, tls, broken, code):
    with WebSocket(shared, tls) as client:
        client.send(broken)
        while True:
            _, opcode, payload = client.receive()
            if opcode == CLOSE:
                break
        assert int.from_bytes(payload[:2], "big") == code

def test_the_first_of_the_client_s_protocols_that_is_known_is_taken(shared, tls):
    with WebSocket(shared, tls, protocols=("unknown", "echo", "sip")) as client:
        assert client.protocol == "echo"

def test_an_unknown_protocol_is_refused(shared, tls):
    with pytest.raises(Refused) as refused:
        WebSocket(shared, tls, protocols=("unknown",))
    assert refused.value.status == 400

def test_no_protocol_is_refused_where_there_are_several(shared, tls):
    with pytest.raises(Refused) as refused:
        WebSocket(shared, tls, protocols=())
    assert refused.value.status == 400

def test_a_request_that_is_no_upgrade_is_refused(shared, tls):
    with pytest.raises(Refused) as refused:
        WebSocket(shared, tls, headers=[("Upgrade", None)])
    assert refused.value.status == 426

def test_another_version_is_refused_with_the_one_supported(shared, tls):
    with pytest.raises(Refused) as refused:
        WebSocket(shared, tls, headers=[("Sec-WebSocket-Version", "12")])
    assert refused.value.status in (400, 426)
    assert "13" in refused.value.headers["sec-websocket-version"]

def test_a_key_that_is_missing_is_refused(shared, tls):
    with pytest.raises(Refused) as refused:
        WebSocket(shared, tls, headers=[("Sec-WebSocket-Key", None)])
    assert refused.value.status == 400

def test_clients_that_vanish_leave_nothing_behind(shared, tls):
    def settled():
        return len(shared.descriptors()), len(shared.threads())
    with WebSocket(shared, tls) as client:
        client.text("warm")
        client.message()
    time.sleep(1)
    before = settled()
    for ending in range(20):
        with WebSocket(shared, tls) as client:
            if ending % 3 == 0:
                client.send(frame(TEXT, b"half a frame")[:5])
            if ending % 3 == 1:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    shared.wait_for(lambda: settled() <= before, 40, f"{before} descriptors and threads before; they are not back")
