"""The console's view of the WebSocket server, its limits, and who is taken for the client behind a proxy."""

import re

import pytest

from configuration import Setup
from sip_client import SipClient
from websocket_client import CLOSE, Refused, WebSocket

pytestmark = pytest.mark.ours

AGENT = ("User-Agent", "rig/1.0 \u00e4")

def rows(asterisk, verbose=False):
    """The sessions' lines of `websocket show sessions`, as (id, peer, protocol)."""
    said = asterisk.cli("websocket show sessions" + (" verbose" if verbose else ""))
    return re.findall(r"^\s*(\d+) (\S+)\s+(\S+)\s+\d\d:\d\d:\d\d", said, re.MULTILINE)

def counter(asterisk, name):
    """One number of `websocket show counters`, 0 where there is none."""
    found = re.search(rf"^  {re.escape(name)}\s+(\d+)$", asterisk.cli("websocket show counters"), re.MULTILINE)
    return int(found.group(1)) if found else 0

def peer_of(client):
    """The client's own address as the console writes it."""
    return "{}:{}".format(*client.socket.getsockname()[:2])

def test_sessions_are_listed_with_what_is_known_of_them(shared, tls):
    with WebSocket(shared, tls, headers=[AGENT]) as client:
        client.text("hello")
        client.message()
        said = shared.cli("websocket show sessions verbose")
        number = next(row[0] for row in rows(shared, verbose=True) if row[1:] == (peer_of(client), "echo"))
        block = said[said.index(f"{number} {peer_of(client)}"):]
        assert re.match(r"\d+ \S+\s+echo\s+00:00:\d\d\s+1\s+1\s+0\s+-\n", block), block
        assert ("TLSv1.3" if tls else "not encrypted") in block
        assert re.search(r"agent +rig/1.0", block) and "payload 5 and 5" in block
        assert "verbose" not in shared.cli("websocket show sessions")
    shared.wait_for(lambda: peer_of_gone(shared, number), 10, "the session is still listed")

def peer_of_gone(asterisk, number):
    """Whether the session has left the list."""
    return number not in [row[0] for row in rows(asterisk)]

def test_a_session_is_killed_by_its_number(shared, tls):
    with WebSocket(shared, tls) as client:
        before = counter(shared, "given up")
        number = next(row[0] for row in rows(shared) if row[1] == peer_of(client))
        assert "has been ended" in shared.cli(f"websocket kill {number}")
        _, opcode, payload = client.receive()
        assert (opcode, payload[:2]) == (CLOSE, b"\x03\xf0")
        shared.wait_for(lambda: counter(shared, "given up") == before + 1, 10, "it is not counted")
    assert "There is no WebSocket session 4294967296" in shared.cli("websocket kill 4294967296")
    assert "Usage" in shared.cli("websocket kill everybody")

def test_counters_grow_and_refusals_have_reasons(shared, tls):
    names = ["accepted", "messages in", "no key", "subprotocol not served"]
    before = [counter(shared, name) for name in names]
    with WebSocket(shared, tls) as client:
        client.text("counted")
        client.message()
        with pytest.raises(Refused):
            WebSocket(shared, tls, headers=[("Sec-WebSocket-Key", None)])
        with pytest.raises(Refused):
            WebSocket(shared, tls, protocols=("unknown",))
        assert [counter(shared, name) for name in names] == [count + 1 for count in before]

def test_settings_are_shown_with_who_serves(shared):
    said = shared.cli("websocket show settings")
    assert "served by res_rust_webrtc" in said and re.search(r"^  max_message_size +65536$", said, re.MULTILINE), said

def test_limits_hold_in_all_and_for_an_address(start, suite):
    asterisk = start(suite, Setup(webrtc="[websocket]\nmax_sessions=3\nmax_sessions_per_address=2\ntrusted_proxies=198.51.100.0/24\n"))
    def open_from(address):
        return WebSocket(asterisk, headers=[("X-Forwarded-For", address)])
    first, second, other = open_from("192.0.2.1"), open_from("192.0.2.1"), None
    with first, second:
        with pytest.raises(Refused) as refused:
            open_from("192.0.2.1")
        assert refused.value.status == 503
        assert asterisk.wait_log(r"WARNING.*'192\.0\.2\.1:\d+' refused: too many sessions")
        with open_from("192.0.2.2") as other:
            with pytest.raises(Refused):
                open_from("192.0.2.3")
            assert len(rows(asterisk)) == 3
        assert counter(asterisk, "too many sessions") == 2
    asterisk.wait_for(lambda: not rows(asterisk), 10, "sessions are still listed")
    with open_from("192.0.2.1"):
        assert len(rows(asterisk)) == 1

def test_only_pages_of_allowed_origins_may_connect(start, suite):
    asterisk = start(suite, Setup(webrtc="[websocket]\nallowed_origins=https://phone.example\n"))
    with WebSocket(asterisk, headers=[("Origin", "https://Phone.example")]), WebSocket(asterisk):
        with pytest.raises(Refused) as refused:
            WebSocket(asterisk, headers=[("Origin", "https://evil.example")])
        assert refused.value.status == 403
        assert asterisk.wait_log(r"WARNING.*refused: origin 'https://evil\.example' not allowed")

@pytest.mark.parametrize("header", [("X-Forwarded-For", "203.0.113.66, 192.0.2.44, 198.51.100.7"),
                                    ("Forwarded", 'for=203.0.113.66, for="192.0.2.44:99";proto=https, for=198.51.100.7')],
                         ids=["X-Forwarded-For", "Forwarded"])
def test_behind_a_trusted_proxy_the_client_s_address_is_shown(start, suite, header):
    asterisk = start(suite, Setup(webrtc="[websocket]\ntrusted_proxies=198.51.100.0/24\n"))
    with WebSocket(asterisk, headers=[header]) as client:
        assert [row[1].split(":")[0] for row in rows(asterisk)] == ["192.0.2.44"]
        assert f"proxy      {peer_of(client)}" in asterisk.cli("websocket show sessions verbose")
    assert asterisk.wait_log(r"WebSocket connection from '192\.0\.2\.44:\d+' for protocol 'echo' accepted")

def test_a_client_that_is_no_proxy_cannot_name_itself(shared, tls):
    with WebSocket(shared, tls, headers=[("X-Forwarded-For", "192.0.2.44"), ("Forwarded", "for=192.0.2.45")]) as client:
        assert peer_of(client) in [row[1] for row in rows(shared)]

def test_the_channel_driver_sees_the_client_behind_the_proxy(start, suite):
    asterisk = start(suite, Setup(webrtc="[websocket]\ntrusted_proxies=198.51.100.0/24\n", files={
        "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose,debug,security\n"}))
    assert "Loaded" in asterisk.cli("module load res_security_log.so")
    with SipClient(asterisk, headers=[("X-Forwarded-For", "192.0.2.44")]) as client:
        client.password = "wrong"
        assert client.register().status in (401, 403)
        assert asterisk.wait_log(r'SECURITY.*RemoteAddress="IPV4/WSS?/192\.0\.2\.44/\d+"')
