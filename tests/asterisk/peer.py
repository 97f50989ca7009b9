"""A WebRTC peer that a test holds in its hands: ICE (full, controlling), DTLS-SRTP and RTP over one UDP socket.

It makes the offer, takes the answer, and lets a test send any bytes from the very address that ICE has validated.
"""

import binascii
import contextlib
import hashlib
import hmac
import os
import re
import select
import socket
import struct
import threading
import time

from openssl import Certificate, Dtls
from srtp import contexts

COOKIE = 0x2112A442
REQUEST, RESPONSE = 0x0001, 0x0101
CERTIFICATE = []

def certificate():
    """One certificate for all peers of a run."""
    if not CERTIFICATE:
        CERTIFICATE.append(Certificate())
    return CERTIFICATE[0]

def attribute(kind, value):
    """A STUN attribute, padded."""
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)

def stun(kind, transaction, attributes, password):
    """A STUN message with MESSAGE-INTEGRITY and FINGERPRINT (RFC 5389 §15.4, §15.5)."""
    head = lambda length: struct.pack("!HHI", kind, length, COOKIE) + transaction  # noqa: E731
    body = b"".join(attributes)
    body += attribute(0x0008, hmac.new(password.encode(), head(len(body) + 24) + body, hashlib.sha1).digest())
    checksum = binascii.crc32(head(len(body) + 8) + body) ^ 0x5354554E
    return head(len(body) + 8) + body + attribute(0x8028, struct.pack("!I", checksum))

class Peer:
    """One side of a call."""

    def __init__(self, asterisk, codec="PCMU", profiles="SRTP_AES128_CM_SHA1_80", setup="actpass", address=None):
        """`address`: bound in the caller's network, not in the instance's."""
        self.asterisk, self.profiles, self.setup = asterisk, profiles, setup
        with contextlib.nullcontext() if address else asterisk.network():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((address or asterisk.address, 0))
        self.address = self.socket.getsockname()
        self.ufrag, self.password, self.tie = os.urandom(4).hex(), os.urandom(12).hex(), os.urandom(8)
        self.payload_type, self.rtpmap, self.step = {"PCMU": (0, "PCMU/8000", 160), "opus": (111, "opus/48000/2", 960)}[codec]
        self.ssrc, self.sequence, self.timestamp = int.from_bytes(os.urandom(4), "big"), 1000, 1
        self.dtls = self.send_context = self.receive_context = self.remote = None
        self.received, self.rtcp_received, self.bad = [], [], 0
        self.thread, self.stopping, self.failure = None, threading.Event(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hush()
        if self.dtls:
            self.dtls.close()
        self.socket.close()

    def offer(self):
        """The SDP offer, with one host candidate."""
        host, port = self.address
        lines = ["v=0", f"o=- {int(time.time())} 1 IN IP4 {host}", "s=-", "t=0 0", f"m=audio {port} UDP/TLS/RTP/SAVPF {self.payload_type} 101",
                 f"c=IN IP4 {host}", f"a=rtpmap:{self.payload_type} {self.rtpmap}", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16",
                 f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.password}", f"a=fingerprint:sha-256 {certificate().fingerprint}",
                 f"a=setup:{self.setup}", "a=rtcp-mux", "a=sendrecv", f"a=candidate:1 1 udp 2130706431 {host} {port} typ host", "a=end-of-candidates"]
        return "\r\n".join(lines) + "\r\n"

    def connect(self, answer, timeout=10):
        """ICE and DTLS as the answer says; afterwards RTP can flow. The other side's fingerprint is checked."""
        one = lambda name: re.search(rf"^a={name}:(.*?)\r?$", answer, re.MULTILINE).group(1).strip()  # noqa: E731
        self.other_ufrag, self.other_password = one("ice-ufrag"), one("ice-pwd")
        candidates = [line.split() for line in re.findall(r"^a=candidate:(.*?)\r?$", answer, re.MULTILINE)]
        self.candidates = [(fields[4], int(fields[5])) for fields in candidates if fields[1] == "1" and fields[2].lower() == "udp" and "." in fields[4]]
        if not self.candidates:
            self.candidates = [(self.asterisk.address, int(re.search(r"^m=audio (\d+)", answer, re.MULTILINE).group(1)))]
        client = one("setup") == "passive"
        self.dtls = Dtls(certificate(), not client, self.profiles)
        deadline, checked = time.monotonic() + timeout, 0
        while not self.dtls.done:
            now = time.monotonic()
            assert now < deadline, f"not connected within {timeout} s: " + ("no DTLS" if self.remote else "no answer to a STUN check")
            if not self.remote and now - checked > 0.05:
                checked = now
                for candidate in self.candidates:
                    self.check(candidate)
            if self.remote and client:
                self.dtls.drive()
            self.dtls.timeout()
            self.flush()
            self.pump(0.02)
        self.flush()
        assert self.dtls.peer_fingerprint() == one("fingerprint").split()[1].upper()
        profile = self.dtls.profile()
        self.send_context, self.receive_context = contexts(profile, self.dtls.keying_material(60), client)

    def check(self, where):
        """A connectivity check that nominates (RFC 8445 §7.2)."""
        attributes = [attribute(0x0006, f"{self.other_ufrag}:{self.ufrag}".encode()), attribute(0x0024, struct.pack("!I", 1862270975)),
                      attribute(0x802A, self.tie), attribute(0x0025, b"")]
        with contextlib.suppress(OSError):  # there is no way to some candidates
            self.socket.sendto(stun(REQUEST, os.urandom(12), attributes, self.other_password), where)

    def flush(self):
        """Sends what DTLS wants sent."""
        if self.remote:
            for record in self.dtls.take():
                self.socket.sendto(record, self.remote)

    def pump(self, seconds):
        """Takes in what comes within `seconds`, the way RFC 7983 tells packets apart."""
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.socket], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return
            try:
                data, source = self.socket.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            if not data:
                continue
            if data[0] < 4:
                self.take_stun(data, source)
            elif 20 <= data[0] <= 63:
                self.dtls.receive(data)
                self.flush()
            elif 128 <= data[0] <= 191 and self.receive_context:
                rtcp = 192 <= data[1] <= 223
                plain = (self.receive_context.unprotect_rtcp if rtcp else self.receive_context.unprotect)(data)
                if plain is None:
                    self.bad += 1
                else:
                    (self.rtcp_received if rtcp else self.received).append((time.monotonic(), plain))

    def take_stun(self, data, source):
        """Answers a check; an answer to ours names the pair."""
        kind = struct.unpack("!H", data[:2])[0]
        if kind == RESPONSE and source in self.candidates:
            self.remote = self.remote or source
        elif kind == REQUEST:
            host, port = source
            mapped = struct.pack("!BBHI", 0, 1, port ^ COOKIE >> 16, struct.unpack("!I", socket.inet_aton(host))[0] ^ COOKIE)
            self.socket.sendto(stun(RESPONSE, data[8:20], [attribute(0x0020, mapped)], self.password), source)

    def send_rtp(self, payload, marker=False, payload_type=None):
        """One RTP packet, protected."""
        head = struct.pack("!BBHII", 0x80, (0x80 if marker else 0) | (self.payload_type if payload_type is None else payload_type),
                           self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        self.sequence += 1
        self.timestamp += self.step
        self.socket.sendto(self.send_context.protect(head + payload), self.remote)

    def send_digit(self, digit, milliseconds=100):
        """A digit as RFC 4733 has it: packets 20 ms apart with one timestamp, the end sent three times."""
        event, begun = "0123456789*#ABCD".index(digit), self.timestamp
        count = milliseconds // 20
        for turn in range(count + 2):
            last = turn >= count - 1
            self.timestamp = begun
            duration = 160 * min(turn + 1, count)
            self.send_rtp(struct.pack("!BBH", event, (0x80 if last else 0) | 10, duration), marker=turn == 0, payload_type=101)
            self.pump(0.02)
        self.timestamp = begun + 160 * count
        for _ in range(3):
            self.send_rtp(b"\xff" * 160)
            self.pump(0.02)

    def digits(self):
        """The digits that came, each with the duration in its last packet; packets of one event share a timestamp."""
        events = {}
        for _, packet in self.received:
            if packet[1] & 0x7F == 101:
                event, _, duration = struct.unpack("!BBH", packet[12:16])
                events[packet[4:8]] = ("0123456789*#ABCD"[event], duration)
        return list(events.values())

    def send_rtcp(self):
        """A sender report and a CNAME."""
        seconds = time.time() + 2208988800
        report = struct.pack("!BBHIIIIII", 0x80, 200, 6, self.ssrc, int(seconds), int(seconds % 1 * 2**32), self.timestamp & 0xFFFFFFFF, self.sequence, self.sequence * 160)
        name = struct.pack("!BBHIBB4sxx", 0x81, 202, 3, self.ssrc, 1, 4, b"peer")
        self.socket.sendto(self.send_context.protect_rtcp(report + name), self.remote)

    def talk(self):
        """Begins to send 50 packets a second in the background, each with a payload of its own, and to take in."""
        self.sent, self.stopping = {}, threading.Event()
        self.thread = threading.Thread(target=self.run, name="peer", daemon=True)
        self.thread.start()

    def run(self):
        """The thread of `talk`: media, checks for consent, RTCP."""
        try:
            due, turn = time.monotonic(), 0
            while not self.stopping.is_set():
                payload = struct.pack("!IQ", turn, int.from_bytes(os.urandom(8), "big")).ljust(160, b"\xd5")
                self.sent[payload] = time.monotonic()
                self.send_rtp(payload, marker=turn == 0)
                if turn % 125 == 0:
                    self.check(self.remote)
                    self.send_rtcp()
                turn += 1
                due += 0.02
                self.pump(max(0.001, due - time.monotonic()))
        except Exception as error:  # shown by whoever stops the talk
            self.failure = error

    def hush(self):
        """Ends `talk`, waits for what is under way, and tells (sent, echoed, longest gap between echoes in seconds)."""
        if not self.thread:
            return None
        self.stopping.set()
        self.thread.join()
        self.thread = None
        if self.failure:
            raise self.failure
        self.pump(0.5)
        return self.echoed()

    def echoed(self):
        """(sent, echoed, longest gap between echoes) so far; an echo is a packet with the very payload that was sent."""
        times = [when for when, packet in self.received if packet[12:] in self.sent]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        return len(self.sent), len({packet[12:] for _, packet in self.received} & set(self.sent)), max(gaps, default=0)
