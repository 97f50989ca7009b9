"""Certificates and ciphers that cannot serve: a warning names peer and file, that peer's call is refused, no other's."""

import os
import re

import pytest

from configuration import Setup, make_certificate
from peer import Peer
from sip_client import SipClient

pytestmark = pytest.mark.ours

KEYS = "/etc/asterisk/keys"
CASES = {
    "missing file": ({"dtlscertfile": f"{KEYS}/none.pem"}, r"none\.pem"),
    "unreadable key": ({"dtlscertfile": f"{KEYS}/keyless.pem", "dtlsprivatekey": f"{KEYS}/secret.key"}, r"secret\.key"),
    "another's key": ({"dtlscertfile": f"{KEYS}/dtls.pem", "dtlsprivatekey": f"{KEYS}/http.key"}, r"http\.key|dtls\.pem"),
    "not a certificate": ({"dtlscertfile": f"{KEYS}/garbage.pem"}, r"garbage\.pem"),
    "unknown cipher": ({"dtlscertfile": f"{KEYS}/dtls.pem", "dtlscipher": "ROT13"}, r"ROT13"),
}

@pytest.fixture(scope="module")
def broken():
    """An Asterisk 16 with one peer for each broken configuration and one that is right."""
    from asterisk import Asterisk
    users = {"1001": {}}
    for number, (overrides, _) in enumerate(CASES.values()):
        users[f"20{number:02}"] = overrides
    asterisk = Asterisk("bullseye", Setup(users=users))
    try:
        asterisk.start(prepare=spoil)
        yield asterisk
    finally:
        asterisk.stop()

def spoil(etc):
    """Puts the files of the cases into the instance's /etc/asterisk."""
    keys = os.path.join(etc, "keys")
    make_certificate(keys, "secret", "127.0.0.1")
    os.chmod(os.path.join(keys, "secret.key"), 0)
    with open(os.path.join(keys, "secret.pem"), encoding="ascii") as whole, open(os.path.join(keys, "keyless.pem"), "w", encoding="ascii") as part:
        part.write(whole.read().split("-----BEGIN PRIVATE KEY")[0])
    with open(os.path.join(keys, "garbage.pem"), "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

@pytest.mark.parametrize("case", CASES)
def test_the_call_is_refused_and_the_others_are_not(broken, case):
    user = f"20{list(CASES).index(case):02}"
    since = len(broken.log())
    with SipClient(broken, user) as client, Peer(broken) as peer:
        assert client.register().status == 200
        assert client.invite("600", peer.offer()).status in (488, 503)
    def warned():
        return [line for line in broken.log()[since:].splitlines() if re.search("WARNING|ERROR", line)]
    broken.wait_for(lambda: any(re.search(CASES[case][1], line) and user in line for line in warned()), 5,
                    lambda: "no warning names peer and file:\n" + "\n".join(warned()))
    with SipClient(broken, "1001") as client, Peer(broken) as peer:
        assert client.register().status == 200
        answer = client.invite("600", peer.offer())
        assert answer.status == 200
        peer.connect(answer.body)
        assert client.bye().status == 200
