"""A desk phone that brings its SRTP keys in SDP (RFC 4568): no ICE, no DTLS, RTP and RTCP on two ports."""

import base64
import os
import re
import socket
import time

from peer import Peer
from srtp import Context

# By suite: what srtp.Context calls it, and the length of its master salt.
SUITES = {"AES_CM_128_HMAC_SHA1_80": ("SRTP_AES128_CM_SHA1_80", 14), "AEAD_AES_128_GCM": ("SRTP_AEAD_AES_128_GCM", 12)}

class SdesPeer(Peer):
    """One side of a call. `lines` in `offer` are whole crypto attributes, for offers that no phone would make."""

    def __init__(self, asterisk, suite="AES_CM_128_HMAC_SHA1_80", sequence=1000):
        super().__init__(asterisk)
        self.socket.close()
        with asterisk.network():
            self.socket, self.rtcp = pair(asterisk.address)
        self.address = self.socket.getsockname()
        self.suite, self.sequence, self.version = suite, sequence, 0
        self.other_key = None
        self.new_key()

    def __exit__(self, *arguments):
        self.rtcp.close()
        super().__exit__(*arguments)

    def new_key(self):
        """Another key for what we send; it holds from the next packet on."""
        profile, salt = SUITES[self.suite]
        self.key = os.urandom(16 + salt)
        self.send_context = Context(profile, self.key[:16], self.key[16:])

    def crypto(self, tag=1, more=""):
        """Our attribute."""
        return f"a=crypto:{tag} {self.suite} inline:{base64.b64encode(self.key).decode()}{more}"

    def offer(self, lines=None, profile="RTP/SAVP"):
        """The SDP offer, or answer."""
        host, port = self.address
        self.version += 1
        text = ["v=0", f"o=- 4711 {self.version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} {profile} 0",
                *([self.crypto()] if lines is None else lines), "a=rtpmap:0 PCMU/8000", "a=sendrecv"]
        return "\r\n".join(text) + "\r\n"

    def connect(self, answer, timeout=10):
        """Takes the address and the key of the answer, or offer; the key that was there before goes on. Returns (tag, suite)."""
        found = re.findall(r"^a=crypto:(\d+) (\S+) inline:(\S+?)\r?$", answer, re.MULTILINE)
        assert len(found) == 1, answer
        tag, suite, key = found[0]
        self.remote = (self.asterisk.address, int(re.search(r"^m=audio (\d+) RTP/SAVP ", answer, re.MULTILINE).group(1)))
        if key != self.other_key:
            profile, salt = SUITES[suite]
            octets = base64.b64decode(key, validate=True)
            assert len(octets) == 16 + salt
            self.receive_context, self.other_key = Context(profile, octets[:16], octets[16:]), key
        return int(tag), suite

    def check(self, where):
        """There is no ICE."""

    def send_rtcp(self):
        """To the port above RTP's."""
        rtp, self.remote = self.remote, (self.remote[0], self.remote[1] + 1)
        own, self.socket = self.socket, self.rtcp
        try:
            super().send_rtcp()
        finally:
            self.remote, self.socket = rtp, own

    def reports(self):
        """The compounds that have come to the RTCP port, opened; None for one that does not open."""
        found = []
        while True:
            try:
                found.append(self.receive_context.unprotect_rtcp(self.rtcp.recv(65536)))
            except BlockingIOError:
                return found

    def converse(self, seconds=1.5):
        """Talks for a while: (sent, echoed) of that while; what does not open is counted in `bad`."""
        self.received.clear()
        self.talk()
        time.sleep(seconds)
        return self.hush()[:2]

def pair(address):
    """Two sockets on an even port and the next."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((address, 0))
        port = rtp.getsockname()[1]
        try:
            if port % 2 == 0:
                rtcp.bind((address, port + 1))
                rtcp.setblocking(False)
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
