"""Candidates from STUN and TURN servers: Debian's coturn behind a NAT, an Asterisk behind that NAT, peers on either side."""

import re
import statistics
import time

import pytest

from asterisk import Setup
from outside import Outside, PASSWORD, SERVER, USER
from peer import Peer
from sip_client import SipClient

pytestmark = pytest.mark.ours

def rtp(stun=True, turn=True, password=PASSWORD, server=SERVER):
    """rtp.conf for the server outside."""
    settings = {"stunaddr": f"{server}:3478"} if stun else {}
    return {**settings, "turnaddr": server, "turnusername": USER, "turnpassword": password} if turn else settings

def candidates(answer, kind):
    """The candidates of that type in the SDP: (address, port, related address)."""
    found = re.findall(rf"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ {kind}(?: raddr (\S+))?", answer, re.MULTILINE | re.IGNORECASE)
    return [(address, int(port), related) for address, port, related in found]

def invite(asterisk, media, client=None):
    """The SDP of the answer to an INVITE to the echo, and the seconds it took."""
    client = client or SipClient(asterisk)
    assert client.register().status == 200
    begun = time.monotonic()
    answer = client.invite("600", media.offer())
    assert answer.status == 200, answer.text
    return answer.body, time.monotonic() - begun, client

@pytest.fixture
def behind_nat(suite, start):
    """Starts an instance with the world outside of it: behind_nat(rtp.conf, ...) gives both."""
    opened = []
    def starter(settings, ready=True, **more):
        asterisk = start(suite, Setup(rtp=settings, **more))
        outside = Outside(asterisk.pid)
        opened.append(outside)
        outside.__enter__()
        if ready:  # True or, without STUN, "relay"; the new interface is noticed within ten seconds
            shown = f"{SERVER}:3478 answers {'0.0.0.0' if ready == 'relay' else Outside.INSIDE}"
            asterisk.wait_for(lambda: shown in asterisk.cli("webrtc show servers"), 20, "the server does not answer")
            shown = f"4 RTP ports ready with {4 if ready == 'relay' else 8} candidates"
            asterisk.wait_for(lambda: shown in asterisk.cli("webrtc show servers"), 20, "no ports are ready")
        return asterisk, outside
    yield starter
    for outside in opened:
        outside.__exit__()

@pytest.mark.parametrize("ports", [4, 0], ids=["ready", "asked"])
def test_sdp_has_what_the_servers_say(behind_nat, ports):
    asterisk, _ = behind_nat(rtp(), ready=ports > 0, webrtc=f"[rtc]\ngather_ready={ports}\ngather_wait=200\n")
    for turn in range(2):
        with Peer(asterisk) as media:
            answer, _, client = invite(asterisk, media)
            with client:
                if ports or turn:  # with no port ready the first call finds out that the servers answer
                    [(mapped, _, base)] = candidates(answer, "srflx")
                    assert (mapped, base) == (Outside.NAT, Outside.INSIDE)
                    [(relay, _, related)] = candidates(answer, "relay")
                    assert (relay, related) == (SERVER, Outside.NAT)
                media.connect(answer)
                media.talk()
                time.sleep(1)
                sent, echoed, _ = media.hush()
                assert client.bye().status == 200
                assert sent - echoed <= 4

def test_a_peer_that_only_a_relay_reaches_hears_its_echo(behind_nat):
    # chan_pjsip binds to [::], for which no port is ready at the first call: then SDP waits.
    asterisk, outside = behind_nat(rtp(), webrtc="[rtc]\ngather_wait=200\n")
    outside.forbid_direct()
    with outside.network(), Peer(asterisk, address=Outside.PEER) as media:
        answer, _, client = invite(asterisk, media)
        with client:
            media.connect(answer)
            assert media.remote[0] == SERVER
            media.talk()
            time.sleep(3)
            sent, echoed, gap = media.hush()
            assert client.bye().status == 200
    assert sent > 100 and sent - echoed <= 4 and gap < 1, (sent, echoed, gap)
    assert outside.dropped() > 0, "nothing was tried directly: the test proves nothing"

def test_nothing_stays_behind(behind_nat):
    # Without users of the WebSocket server, which would stay loaded and keep the module.
    users = ["chan_sip", "chan_pjsip", "res_pjsip_transport_websocket"]
    asterisk, outside = behind_nat({**rtp(), "stunaddr": "stun.nowhere.invalid", "stun_deny": "192.0.2.0/24"}, noload=users, ready="relay")
    assert outside.relays() >= 4
    assert "webrtc-gather" in asterisk.threads()
    assert "Unloaded" in asterisk.cli("module unload res_rust_webrtc.so")
    asterisk.wait_for(lambda: outside.relays() == 0, 5, "an allocation stays at the server")
    assert not [name for name in asterisk.threads() if "webrtc" in name]
    with open(f"/proc/{asterisk.pid}/maps", encoding="utf-8") as maps:
        assert "res_rust_webrtc.so" not in maps.read(), "the unloaded module is still mapped"

def test_a_server_that_does_not_answer_delays_nothing(behind_nat):
    asterisk, _ = behind_nat(rtp(server=Outside.NOBODY), ready=False)
    took = {}
    for reachable in (False, None):
        if reachable is None:
            with open(f"{asterisk.base}/etc/rtp.conf", "w", encoding="ascii") as file:
                file.write("[general]\nrtpstart=20000\nrtpend=29999\nicesupport=yes\n")
            asterisk.cli("module reload res_rust_webrtc.so")
        times = []
        for _ in range(30):
            with Peer(asterisk) as media:
                answer, seconds, client = invite(asterisk, media)
                with client:
                    assert candidates(answer, "host") and not candidates(answer, "srflx")
                    times.append(seconds)
                    client.bye()
        took[reachable] = statistics.median(times), max(times)
    print("INVITE to 200, median and longest: unreachable servers", took[False], "without servers", took[None])
    assert took[False][0] < took[None][0] + 0.02 and took[False][1] < took[None][1] + 0.1, took

def test_a_wrong_password_is_one_warning(behind_nat):
    asterisk, _ = behind_nat(rtp(stun=False, password="not-it"), ready=False)
    asterisk.wait_log(r"WARNING.*TURN server .* password is wrong", timeout=20)
    for _ in range(3):
        with Peer(asterisk) as media:
            answer, _, client = invite(asterisk, media)
            with client:
                assert candidates(answer, "host") and not candidates(answer, "relay")
                client.bye()
    time.sleep(1)
    assert len(re.findall("password is wrong", asterisk.log())) == 1
    assert "not-it" not in asterisk.log() + asterisk.cli("webrtc show servers")

def test_a_name_that_is_not_found_is_a_warning(suite, start):
    asterisk = start(suite, Setup(rtp={"stunaddr": "stun.nowhere.invalid"}))
    asterisk.wait_log(r"WARNING.*cannot resolve 'stun\.nowhere\.invalid'", timeout=30)
    with Peer(asterisk) as media:
        answer, _, client = invite(asterisk, media)
        with client:
            media.connect(answer)
            assert candidates(answer, "host")
            client.bye()
    asterisk.wait_for(lambda: "webrtc-gather" in asterisk.threads(), 1, "there is no thread to look names up")
