"""SRTP and SRTCP (RFC 3711, RFC 7714) for one direction, as plain as the RFCs' formulas."""

import hashlib
import hmac

from openssl import aes_ctr, aes_gcm

class Context:
    """Keys of one direction, and its state for any number of SSRCs."""

    def __init__(self, profile, key, salt):
        self.gcm = profile == "SRTP_AEAD_AES_128_GCM"
        derive = lambda label, length: aes_ctr(key, self.input(salt, label), bytes(length))  # noqa: E731
        self.key, self.auth, self.salt = derive(0, 16), derive(1, 20), derive(2, 12 if self.gcm else 14)
        self.rtcp_key, self.rtcp_auth, self.rtcp_salt = derive(3, 16), derive(4, 20), derive(5, 12 if self.gcm else 14)
        self.highest = {}  # by SSRC: the extended sequence number
        self.rtcp_index = 0

    @staticmethod
    def input(salt, label):
        """RFC 3711 §4.3.1 with a key derivation rate of 0; a salt of 96 bits is filled up on the right."""
        value = bytearray(salt.ljust(14, b"\0"))
        value[7] ^= label
        return bytes(value) + b"\0\0"

    @staticmethod
    def counter(salt, ssrc, index):
        """RFC 3711 §4.1.1."""
        value = int.from_bytes(salt, "big") << 16 ^ ssrc << 64 ^ index << 16
        return value.to_bytes(16, "big")

    @staticmethod
    def nonce(salt, ssrc, index):
        """RFC 7714 §8.1 and §9.1: both are SSRC and a 48-bit index after 16 zero bits."""
        return (int.from_bytes(salt, "big") ^ (ssrc << 48 | index)).to_bytes(12, "big")

    def extended(self, ssrc, sequence):
        """The index of a packet, guessed from the highest of its SSRC (RFC 3711 §3.3.1)."""
        highest = self.highest.setdefault(ssrc, sequence)
        roc = highest >> 16
        difference = sequence - (highest & 0xFFFF)
        roc += 1 if difference < -32768 else -1 if difference > 32768 and roc else 0
        return roc << 16 | sequence

    @staticmethod
    def header_length(packet):
        """The fixed header, the CSRCs and the extension."""
        length = 12 + 4 * (packet[0] & 0x0F)
        return length + 4 + 4 * int.from_bytes(packet[length + 2:length + 4], "big") if packet[0] & 0x10 else length

    def protect(self, packet):
        """An RTP packet made fit to send."""
        ssrc, index, cut = int.from_bytes(packet[8:12], "big"), self.extended(int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")), self.header_length(packet)
        self.highest[ssrc] = max(index, self.highest[ssrc])
        if self.gcm:
            return packet[:cut] + aes_gcm(self.key, self.nonce(self.salt, ssrc, index), packet[:cut], packet[cut:], True)
        packet = packet[:cut] + aes_ctr(self.key, self.counter(self.salt, ssrc, index), packet[cut:])
        return packet + self.tag(self.auth, packet + (index >> 16).to_bytes(4, "big"))

    def unprotect(self, packet):
        """The RTP packet, or None where its tag is wrong."""
        ssrc, cut = int.from_bytes(packet[8:12], "big"), self.header_length(packet)
        index = self.extended(ssrc, int.from_bytes(packet[2:4], "big"))
        if self.gcm:
            payload = aes_gcm(self.key, self.nonce(self.salt, ssrc, index), packet[:cut], packet[cut:], False)
        else:
            body, tag = packet[:-10], packet[-10:]
            right = hmac.compare_digest(self.tag(self.auth, body + (index >> 16).to_bytes(4, "big")), tag)
            payload = aes_ctr(self.key, self.counter(self.salt, ssrc, index), body[cut:]) if right else None
        if payload is None:
            return None
        self.highest[ssrc] = max(index, self.highest[ssrc])
        return packet[:cut] + payload

    def protect_rtcp(self, packet):
        """A compound RTCP packet made fit to send."""
        ssrc, index = int.from_bytes(packet[4:8], "big"), self.rtcp_index
        self.rtcp_index += 1
        trailer = (index | 1 << 31).to_bytes(4, "big")
        if self.gcm:
            return packet[:8] + aes_gcm(self.rtcp_key, self.nonce(self.rtcp_salt, ssrc, index), packet[:8] + trailer, packet[8:], True) + trailer
        packet = packet[:8] + aes_ctr(self.rtcp_key, self.counter(self.rtcp_salt, ssrc, index), packet[8:]) + trailer
        return packet + self.tag(self.rtcp_auth, packet)

    def unprotect_rtcp(self, packet):
        """The compound RTCP packet, or None where its tag is wrong."""
        ssrc = int.from_bytes(packet[4:8], "big")
        if self.gcm:
            body, trailer = packet[:-4], packet[-4:]
            index = int.from_bytes(trailer, "big") & 0x7FFFFFFF
            payload = aes_gcm(self.rtcp_key, self.nonce(self.rtcp_salt, ssrc, index), packet[:8] + trailer, body[8:], False)
            return None if payload is None else packet[:8] + payload
        body, tag = packet[:-10], packet[-10:]
        if not hmac.compare_digest(self.tag(self.rtcp_auth, body), tag):
            return None
        index = int.from_bytes(body[-4:], "big") & 0x7FFFFFFF
        return packet[:8] + aes_ctr(self.rtcp_key, self.counter(self.rtcp_salt, ssrc, index), body[8:-4])

    @staticmethod
    def tag(key, data):
        """The 80-bit tag of AES_CM_128_HMAC_SHA1_80."""
        return hmac.new(key, data, hashlib.sha1).digest()[:10]

def contexts(profile, material, client):
    """The contexts of our sending and of our receiving direction, from RFC 5764's keying material."""
    salt = 12 if profile == "SRTP_AEAD_AES_128_GCM" else 14
    keys = [material[:16], material[16:32]]
    salts = [material[32:32 + salt], material[32 + salt:32 + 2 * salt]]
    own, other = (0, 1) if client else (1, 0)
    return Context(profile, keys[own], salts[own]), Context(profile, keys[other], salts[other])
