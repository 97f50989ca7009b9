"""A WebSocket client that decides every byte: what is in a frame, in a TLS record and in a TCP segment.

Over TLS one `send()` is one record; over TCP one `send()` is one segment as long as it fits (Nagle is off).
"""

import base64
import hashlib
import os
import socket
import ssl
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

def frame(opcode, payload=b"", fin=True, mask=b"\x12\x34\x56\x78", rsv=0):
    """One frame as RFC 6455 §5.2 lays it out; `mask=None` leaves it unmasked."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    marked = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head += bytes([marked | len(payload)])
    elif len(payload) < 65536:
        head += bytes([marked | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([marked | 127]) + struct.pack("!Q", len(payload))
    if mask is None:
        return head + payload
    repeated = mask * (len(payload) // 4 + 1)
    return head + mask + bytes(a ^ b for a, b in zip(payload, repeated))

class Refused(Exception):
    """The server did not switch protocols."""

    def __init__(self, status, headers):
        super().__init__(f"refused with {status}")
        self.status, self.headers = status, headers

class WebSocket:
    """A connection to an instance; the handshake is made on construction. `early` follows the request in one write."""

    def __init__(self, asterisk, tls=False, protocols=("echo",), path="/ws", headers=(), early=b"", timeout=10):
        with asterisk.network():
            self.socket = socket.create_connection((asterisk.address, 8089 if tls else 8088), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.buffer = b""
        self.protocol = None
        try:
            self.shake_hands(asterisk.address, protocols, path, headers, early)
        except BaseException:
            self.socket.close()
            raise

    def shake_hands(self, host, protocols, path, headers, early):
        """Asks to upgrade and checks the answer as a browser would."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        if protocols:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        replaced = {name.lower() for name, _ in headers}
        lines = [line for line in lines if line.split(":")[0].lower() not in replaced]
        lines += [f"{name}: {value}" for name, value in headers if value is not None]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + early)
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        answer = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in rest)}
        status = int(first.split()[1])
        if status != 101:
            raise Refused(status, answer)
        assert answer["upgrade"].lower() == "websocket" and answer["connection"].lower() == "upgrade"
        expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert answer["sec-websocket-accept"] == expected
        self.protocol = answer.get("sec-websocket-protocol")
        assert self.protocol is None or self.protocol in protocols

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """The bytes as they are, in one TLS record or segment."""
        self.socket.sendall(data)

    def text(self, text):
        """One unfragmented text message."""
        self.send(frame(TEXT, text.encode()))

    def fill(self):
        """Reads what there is; the end of the stream is an EOFError."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection")
        self.buffer += data

    def take(self, count):
        """Exactly `count` bytes."""
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def receive(self, timeout=10):
        """The next frame as (fin, opcode, payload); a masked or extended one from a server is an error."""
        self.socket.settimeout(timeout)
        first, second = self.take(2)
        assert first & 0x70 == 0, "a reserved bit is set"
        assert second & 0x80 == 0, "a server must not mask"
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        return bool(first & 0x80), first & 0x0F, self.take(length)

    def message(self, timeout=10):
        """The next whole data message as (opcode, payload); pings met on the way are answered, a close is an EOFError."""
        opcode, whole = None, b""
        while True:
            fin, code, payload = self.receive(timeout)
            if code == PING:
                self.send(frame(PONG, payload))
                continue
            if code == PONG:
                continue
            if code == CLOSE:
                raise EOFError(f"closed with {struct.unpack('!H', payload[:2])[0] if payload else None}")
            opcode = code if opcode is None else opcode
            whole += payload
            if fin:
                return opcode, whole
