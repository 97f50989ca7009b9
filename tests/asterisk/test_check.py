"""`webrtc check` in a real Asterisk: what a good configuration and several bad ones are told, and that each line helps."""

import os
import subprocess

import pytest

from asterisk import Asterisk
from conftest import SUITES
from configuration import PASSWORD, Setup, make_certificate

pytestmark = pytest.mark.ours

KEYS = "/etc/asterisk/keys"

def check(asterisk, peer=""):
    """What the command prints."""
    said = asterisk.cli(f"webrtc check {peer}")
    assert PASSWORD not in said and "PRIVATE KEY" not in said
    return said

def rewrite(asterisk, name, change):
    """Applies `change` to the text of a file of the running instance."""
    path = os.path.join(asterisk.base, "etc", name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    changed = change(text)
    assert changed != text, f"nothing to change in {name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(changed)
    return text

def replaced(old, new):
    """A change that puts one text for another."""
    return lambda text: text.replace(old, new)

@pytest.fixture(scope="module")
def good(request):
    """An instance in which browsers can call."""
    with Asterisk(request.param, Setup(users={"1001": {}, "1002": {}})) as asterisk:
        spoil(os.path.join(asterisk.base, "etc/keys"))
        yield asterisk

@pytest.mark.parametrize("good", SUITES, indirect=True)
def test_a_good_configuration_is_called_good(good):
    said = check(good)
    technology = good.setup.technology
    assert f"Nothing keeps a browser from calling as {technology}/1001, {technology}/1002 over wss://<host>:8089/ws." in said, said
    assert "self-signed" in said  # the rig's is

SIP_FAULTS = {
    "avpf off": ("sip.conf", replaced("avpf=yes", "avpf=no"), ["[1001], [1002]", "avpf = yes"]),
    "icesupport off": ("sip.conf", replaced("icesupport=yes", ""), ["icesupport = yes"]),
    "rtcp_mux off": ("sip.conf", replaced("rtcp_mux=yes", ""), ["rtcp_mux = yes"]),
    "encryption off": ("sip.conf", replaced("encryption=yes", ""), ["encryption = yes"]),
    "dtls off": ("sip.conf", replaced("dtlsenable=yes", ""), ["dtlsenable = yes"]),
    "ws beside wss": ("sip.conf", replaced("transport=wss", "transport=ws,wss"), ["transport = wss"]),
    "no codec": ("sip.conf", replaced("allow=opus,ulaw,g722,vp8,h264", "allow=gsm"), ["no audio is allowed"]),
}
PJSIP_FAULTS = {
    "webrtc off": ("pjsip.conf", replaced("webrtc=yes", "use_avpf=yes"), ["[1001], [1002]", "webrtc = yes"]),
    "no codec": ("pjsip.conf", replaced("allow=opus,ulaw,g722,vp8,h264", "allow=gsm"), ["no audio is allowed"]),
}
FAULTS = {
    "no TLS": ("http.conf", replaced("tlsenable=yes", "tlsenable=no"), ["http.conf [general]", "tlsenable = yes"]),
    "no such certificate": ("http.conf", replaced("http.pem", "gone.pem"), ["gone.pem does not exist", "tlscertfile ="]),
    "certificate without key": ("http.conf", replaced("http.pem", "bare.pem"), ["bare.pem: holds no private key"]),
    "weak certificate": ("http.conf", replaced("http.pem", "weak.pem"), ["no subjectAltName", "SHA-1", "1024 bits"]),
    "unreadable certificate": ("http.conf", replaced("http.pem", "secret.pem"), ["secret.pem cannot be read"]),
    "few sessions": ("http.conf", replaced("sessionlimit=1000", "sessionlimit=2"), ["sessionlimit = 100"]),
    "ice off": ("rtp.conf", replaced("icesupport=yes", "icesupport=no"), ["rtp.conf [general]", "icesupport = yes"]),
    "not listed": ("modules.conf", replaced("load=res_rust_webrtc.so\n", ""), ["load = res_rust_webrtc.so"]),
}

def spoil(keys):
    """Certificates that will not do."""
    make_certificate(keys, "secret", "127.0.0.1")
    os.chmod(os.path.join(keys, "secret.pem"), 0)
    with open(os.path.join(keys, "http.pem"), encoding="ascii") as file, \
            open(os.path.join(keys, "bare.pem"), "w", encoding="ascii") as bare:
        bare.write(file.read().split("-----BEGIN PRIVATE KEY")[0])
    weak = os.path.join(keys, "weak.pem")
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-sha1", "-newkey", "rsa:1024", "-days", "9", "-subj", "/CN=weak",
                    "-keyout", weak + ".key", "-out", weak + ".crt"], check=True, capture_output=True)
    with open(weak, "w", encoding="ascii") as file:
        for part in (weak + ".crt", weak + ".key"):
            with open(part, encoding="ascii") as source:
                file.write(source.read())

CASES = {"bullseye": {**FAULTS, **SIP_FAULTS}, "sid": {**FAULTS, **PJSIP_FAULTS}}

@pytest.mark.parametrize(("good", "case"), [(suite, case) for suite in SUITES for case in CASES[suite]], indirect=["good"])
def test_a_fault_is_named_with_the_line_to_add(good, case):
    name, change, words = CASES[good.suite][case]
    before = rewrite(good, name, change)
    said = check(good)
    rewrite(good, name, lambda _: before)
    assert "Browsers cannot call, or not be called." in said, said
    for word in words:
        assert word in said, said
    assert "Nothing keeps a browser" in check(good)

def test_the_module_that_came_after_the_channel_driver_is_told(start):
    setup = Setup(users={"1001": {}})
    setup.technology = "SIP"
    setup.load = [module for module in setup.modules() if module not in ("res_rust_webrtc", "res_http_websocket")]
    asterisk = start("bullseye", setup)
    assert "Loaded" in asterisk.cli("module load res_rust_webrtc.so")
    said = check(asterisk)
    assert "chan_sip was started before this module" in said and "load = res_rust_webrtc.so" in said, said
    asterisk.cli("module unload chan_sip.so")
    asterisk.cli("module load chan_sip.so")
    assert "was started before" not in check(asterisk)

def test_stock_s_engine_and_its_need_of_a_certificate(start):
    users = {"1001": {"rtp_engine": None, "dtlscertfile": None}, "1002": {}}
    asterisk = start("bullseye", Setup(users=users, stock_engine=True))
    said = check(asterisk)
    assert "sip.conf [1001]\n  served by another RTP engine" in said and "rtp_engine = webrtc" in said, said
    assert "sip.conf [1001]\n  DTLS is on, and stock's engine has no certificate" in said and "dtlscertfile =" in said, said
    assert "[1002]" not in said

@pytest.mark.parametrize("good", SUITES, indirect=True)
def test_one_peer_by_name_and_none(good):
    technology = good.setup.technology
    assert f"as {technology}/1002 over" in check(good, "1002")
    assert "There is no peer or endpoint '4711'" in check(good, "4711")
    assert "Usage: webrtc check" in check(good, "1001 1002")
