"""The little of OpenSSL that a WebRTC peer needs and Python does not offer: DTLS with use_srtp, AES-CTR and AES-GCM."""

import ctypes
import ctypes.util
import hashlib
import os
import subprocess
import tempfile

def library(name):
    """libssl or libcrypto of the host."""
    found = ctypes.util.find_library(name)
    if not found:
        raise RuntimeError(f"lib{name} is missing: run tests/rig/prerequisites")
    return ctypes.CDLL(found)

CRYPTO, SSL = library("crypto"), library("ssl")
POINTER = ctypes.c_void_p
for owner, names in ((CRYPTO, "EVP_CIPHER_CTX_new EVP_aes_128_ctr EVP_aes_128_gcm BIO_s_mem BIO_new"),
                     (SSL, "DTLS_method SSL_CTX_new SSL_new SSL_get_selected_srtp_profile SSL_get_current_cipher SSL_CIPHER_get_name "
                           "SSL_get1_peer_certificate SSL_get_version")):
    for name in names.split():
        getattr(owner, name).restype = POINTER
for owner, name, arguments in (
        (CRYPTO, "EVP_CIPHER_CTX_free", [POINTER]), (CRYPTO, "BIO_new", [POINTER]), (CRYPTO, "BIO_ctrl", [POINTER, ctypes.c_int, ctypes.c_long, POINTER]),
        (CRYPTO, "BIO_read", [POINTER, POINTER, ctypes.c_int]), (CRYPTO, "BIO_write", [POINTER, POINTER, ctypes.c_int]),
        (CRYPTO, "EVP_CipherInit_ex", [POINTER, POINTER, POINTER, POINTER, POINTER, ctypes.c_int]),
        (CRYPTO, "EVP_CipherUpdate", [POINTER, POINTER, POINTER, POINTER, ctypes.c_int]), (CRYPTO, "EVP_CipherFinal_ex", [POINTER, POINTER, POINTER]),
        (CRYPTO, "EVP_CIPHER_CTX_ctrl", [POINTER, ctypes.c_int, ctypes.c_int, POINTER]), (CRYPTO, "i2d_X509", [POINTER, POINTER]), (CRYPTO, "X509_free", [POINTER]),
        (SSL, "SSL_CTX_new", [POINTER]), (SSL, "SSL_CTX_free", [POINTER]), (SSL, "SSL_new", [POINTER]), (SSL, "SSL_free", [POINTER]),
        (SSL, "SSL_CTX_use_certificate_chain_file", [POINTER, ctypes.c_char_p]), (SSL, "SSL_CTX_use_PrivateKey_file", [POINTER, ctypes.c_char_p, ctypes.c_int]),
        (SSL, "SSL_CTX_set_tlsext_use_srtp", [POINTER, ctypes.c_char_p]), (SSL, "SSL_CTX_set_verify", [POINTER, ctypes.c_int, POINTER]),
        (SSL, "SSL_set_bio", [POINTER, POINTER, POINTER]), (SSL, "SSL_ctrl", [POINTER, ctypes.c_int, ctypes.c_long, POINTER]),
        (SSL, "SSL_set_options", [POINTER, ctypes.c_uint64]), (SSL, "SSL_set_accept_state", [POINTER]), (SSL, "SSL_set_connect_state", [POINTER]),
        (SSL, "SSL_do_handshake", [POINTER]), (SSL, "SSL_get_error", [POINTER, ctypes.c_int]), (SSL, "SSL_shutdown", [POINTER]),
        (SSL, "SSL_read", [POINTER, POINTER, ctypes.c_int]), (SSL, "SSL_get_selected_srtp_profile", [POINTER]),
        (SSL, "SSL_get1_peer_certificate", [POINTER]), (SSL, "SSL_get_current_cipher", [POINTER]), (SSL, "SSL_CIPHER_get_name", [POINTER]),
        (SSL, "SSL_export_keying_material", [POINTER, POINTER, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, POINTER, ctypes.c_size_t, ctypes.c_int])):
    getattr(owner, name).argtypes = arguments
VERIFY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, POINTER)
ACCEPT_ANY = VERIFY(lambda ok, store: 1)  # the fingerprint is compared afterwards
NO_QUERY_MTU, SET_MTU, HANDLE_TIMEOUT, MEM_EOF_RETURN = 0x1000, 17, 74, 130

class Profile(ctypes.Structure):
    """SRTP_PROTECTION_PROFILE."""
    _fields_ = [("name", ctypes.c_char_p), ("id", ctypes.c_ulong)]

class Certificate:
    """A P-256 certificate in a file that lives as long as the object."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="rig-peer.")
        self.key, self.path = (os.path.join(self.directory.name, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2",
                        "-subj", "/CN=peer", "-keyout", self.key, "-out", self.path], check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", self.path, "-outform", "DER"], check=True, capture_output=True).stdout
        self.fingerprint = fingerprint(der)

def fingerprint(der):
    """SHA-256 of a certificate as SDP writes it."""
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[index:index + 2] for index in range(0, 64, 2))

class Dtls:
    """One DTLS association over two memory BIOs: datagrams in by `receive`, out by `take`."""

    def __init__(self, certificate, server, profiles="SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"):
        self.context = SSL.SSL_CTX_new(SSL.DTLS_method())
        assert SSL.SSL_CTX_use_certificate_chain_file(self.context, certificate.path.encode()) == 1
        assert SSL.SSL_CTX_use_PrivateKey_file(self.context, certificate.key.encode(), 1) == 1
        assert SSL.SSL_CTX_set_tlsext_use_srtp(self.context, profiles.encode()) == 0
        SSL.SSL_CTX_set_verify(self.context, 3, ctypes.cast(ACCEPT_ANY, POINTER))
        self.ssl = SSL.SSL_new(self.context)
        self.incoming, self.outgoing = CRYPTO.BIO_new(CRYPTO.BIO_s_mem()), CRYPTO.BIO_new(CRYPTO.BIO_s_mem())
        for bio in (self.incoming, self.outgoing):
            CRYPTO.BIO_ctrl(bio, MEM_EOF_RETURN, -1, None)
        SSL.SSL_set_bio(self.ssl, self.incoming, self.outgoing)
        SSL.SSL_set_options(self.ssl, NO_QUERY_MTU)
        SSL.SSL_ctrl(self.ssl, SET_MTU, 1200, None)
        (SSL.SSL_set_accept_state if server else SSL.SSL_set_connect_state)(self.ssl)
        self.done = False

    def close(self):
        """Frees everything."""
        if self.ssl:
            SSL.SSL_free(self.ssl)
            SSL.SSL_CTX_free(self.context)
            self.ssl = None

    def drive(self):
        """Goes on with the handshake; a fatal alert is an exception."""
        if self.done:
            scratch = ctypes.create_string_buffer(4096)
            SSL.SSL_read(self.ssl, scratch, len(scratch))
            return
        result = SSL.SSL_do_handshake(self.ssl)
        if result == 1:
            self.done = True
        elif SSL.SSL_get_error(self.ssl, result) not in (2, 3):
            raise ConnectionError("the DTLS handshake failed")

    def receive(self, datagram):
        """One datagram from the other side."""
        CRYPTO.BIO_write(self.incoming, datagram, len(datagram))
        self.drive()

    def timeout(self):
        """Lets OpenSSL retransmit what is overdue."""
        SSL.SSL_ctrl(self.ssl, HANDLE_TIMEOUT, 0, None)

    def take(self):
        """The records to send, each fit for a datagram of its own."""
        scratch, data = ctypes.create_string_buffer(65536), b""
        while (count := CRYPTO.BIO_read(self.outgoing, scratch, len(scratch))) > 0:
            data += scratch.raw[:count]
        records = []
        while data:
            length = 13 + int.from_bytes(data[11:13], "big")
            records.append(data[:length])
            data = data[length:]
        return records

    def shutdown(self):
        """close_notify, as a datagram."""
        SSL.SSL_shutdown(self.ssl)
        return self.take()

    def peer_fingerprint(self):
        """SHA-256 of the other side's certificate."""
        certificate = SSL.SSL_get1_peer_certificate(self.ssl)
        length = CRYPTO.i2d_X509(certificate, None)
        der = ctypes.create_string_buffer(length)
        CRYPTO.i2d_X509(certificate, ctypes.byref(ctypes.c_void_p(ctypes.addressof(der))))
        CRYPTO.X509_free(certificate)
        return fingerprint(der.raw)

    def profile(self):
        """The name of the SRTP profile agreed on."""
        chosen = SSL.SSL_get_selected_srtp_profile(self.ssl)
        return ctypes.cast(chosen, ctypes.POINTER(Profile)).contents.name.decode() if chosen else None

    def cipher(self):
        """The name of the DTLS cipher."""
        return ctypes.cast(SSL.SSL_CIPHER_get_name(SSL.SSL_get_current_cipher(self.ssl)), ctypes.c_char_p).value.decode()

    def keying_material(self, length):
        """RFC 5764 §4.2."""
        out, label = ctypes.create_string_buffer(length), b"EXTRACTOR-dtls_srtp"
        assert SSL.SSL_export_keying_material(self.ssl, out, length, label, len(label), None, 0, 0) == 1
        return out.raw

def aes_ctr(key, counter, data):
    """AES-128 in counter mode; the same call decrypts."""
    context, out, length = CRYPTO.EVP_CIPHER_CTX_new(), ctypes.create_string_buffer(len(data) + 16), ctypes.c_int()
    CRYPTO.EVP_CipherInit_ex(context, CRYPTO.EVP_aes_128_ctr(), None, key, counter, 1)
    CRYPTO.EVP_CipherUpdate(context, out, ctypes.byref(length), data, len(data))
    CRYPTO.EVP_CIPHER_CTX_free(context)
    return out.raw[:length.value]

def aes_gcm(key, nonce, extra, data, seal):
    """AES-128-GCM: ciphertext and tag when sealing; plaintext, or None where the tag is wrong, when opening."""
    text, tag = (data, None) if seal else (data[:-16], data[-16:])
    context, out, length = CRYPTO.EVP_CIPHER_CTX_new(), ctypes.create_string_buffer(len(text) + 16), ctypes.c_int()
    try:
        CRYPTO.EVP_CipherInit_ex(context, CRYPTO.EVP_aes_128_gcm(), None, key, nonce, 1 if seal else 0)
        CRYPTO.EVP_CipherUpdate(context, None, ctypes.byref(length), extra, len(extra))
        CRYPTO.EVP_CipherUpdate(context, out, ctypes.byref(length), text, len(text))
        result = out.raw[:length.value]
        if not seal:
            CRYPTO.EVP_CIPHER_CTX_ctrl(context, 0x11, 16, tag)
            return result if CRYPTO.EVP_CipherFinal_ex(context, out, ctypes.byref(length)) == 1 else None
        CRYPTO.EVP_CipherFinal_ex(context, out, ctypes.byref(length))
        tag = ctypes.create_string_buffer(16)
        CRYPTO.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag)
        return result + tag.raw
    finally:
        CRYPTO.EVP_CIPHER_CTX_free(context)
