"""The module in Asterisk's loader: it comes and goes without trace, in any order that it allows, and refuses the rest."""

import collections
import os
import re
import subprocess

import pytest

from asterisk import built_module, root_of
from configuration import MODULE, STOCK_ENGINE, Setup
from sip_client import SipClient
from websocket_client import TEXT, WebSocket

pytestmark = pytest.mark.ours

def running(asterisk):
    """Whether `module show` calls the module running."""
    return re.search(rf"^{MODULE}\.so\s.*\s\d+\s+Running\b", asterisk.cli(f"module show like {MODULE}"), re.MULTILINE) is not None

def load(asterisk):
    """Loads the module and says what Asterisk said."""
    return asterisk.cli(f"module load {MODULE}.so")

def unload(asterisk):
    """Unloads the module and says what Asterisk said."""
    return asterisk.cli(f"module unload {MODULE}.so")

def module_file(suite):
    """The path of the built module."""
    found = subprocess.run(["find", built_module(suite), "-name", f"{MODULE}.so"], capture_output=True, text=True, check=True)
    return found.stdout.split()[0]

def without_channel_driver(setup):
    """The modules of the setup less the channel driver, so that nothing uses ours."""
    setup.technology = "none"
    return [module for module in setup.modules() if module != MODULE and "pjsip" not in module and module != "chan_sip"]

def echoes(asterisk):
    """Whether /ws echoes."""
    with WebSocket(asterisk) as client:
        client.text("still there?")
        return client.message() == (TEXT, b"still there?")

def test_twenty_times_loaded_and_unloaded_leaves_nothing(start, suite):
    setup = Setup()
    setup.load = without_channel_driver(setup)
    asterisk = start(suite, setup)
    before, registered = None, {}
    commands = ["http show status", "core show channeltypes", "core show help webrtc", "rtp show settings", "core show settings"]
    for turn in range(20):
        assert "Loaded" in load(asterisk), asterisk.said()
        assert running(asterisk)
        assert echoes(asterisk)
        assert "Unloaded" in unload(asterisk), asterisk.said()
        assert not running(asterisk)
        assert asterisk.alive()
        if turn == 2:
            before = asterisk.descriptors(), asterisk.threads(), asterisk.rss()
            registered = {command: asterisk.cli(command) for command in commands}
    def more():
        """What there is now and was not after three turns."""
        return [sorted((collections.Counter(now) - collections.Counter(then)).elements())
                for now, then in zip((asterisk.descriptors(), asterisk.threads()), before)]
    asterisk.wait_for(lambda: more() == [[], []], 5, lambda: f"seventeen turns left {more()}")
    assert asterisk.rss() - before[2] < 2048, "17 turns cost more than 2 MB"
    for command in commands[:4]:
        assert asterisk.cli(command) == registered[command]
    with open(f"/proc/{asterisk.pid}/maps", encoding="ascii") as maps:
        assert f"{MODULE}.so" not in maps.read(), "the unloaded module is still mapped"
    assert "Loaded" in load(asterisk) and echoes(asterisk)

def test_it_comes_and_goes_beside_its_consumers(start, suite):
    asterisk = start(suite)
    consumer = "chan_sip" if asterisk.setup.technology == "SIP" else "res_pjsip_transport_websocket"
    # When pjsip's transport was loaded for the third time it never lets a session go, stock's server's or ours.
    for _ in range(3 if consumer == "chan_sip" else 2):
        with SipClient(asterisk) as client:
            assert client.register().status == 200
        if consumer != "chan_sip":  # it may be unloaded under its own callback's feet, by stock's server, too
            asterisk.wait_for(lambda: re.search(r"\s0\s+Running", asterisk.cli(f"module show like {MODULE}")), 5, "session still held")
        unloaded = asterisk.cli(f"module unload {consumer}.so")
        if "Unloaded" not in unloaded:  # chan_pjsip's transport stays as long as the stack does
            break
        assert "Unloaded" in unload(asterisk), asterisk.said()
        assert "Loaded" in load(asterisk)
        assert "Loaded" in asterisk.cli(f"module load {consumer}.so")
    assert asterisk.alive() and echoes(asterisk)

def test_it_takes_over_at_run_time_from_stock_and_gives_back(start, suite):
    setup = Setup()
    setup.technology = "SIP" if suite == "bullseye" else "PJSIP"
    setup.load = [module for module in setup.modules() if module != MODULE]
    asterisk = start(suite, setup)
    def serves(tls):
        with SipClient(asterisk, "1001" if tls else "1003", tls) as client:
            assert client.register().status == 200
            assert client.register(expires=0).status == 200
        asterisk.wait_log(rf"{MODULE}.*for protocol 'sip' accepted" if running(asterisk) else "for protocol 'sip' accepted")
    assert "Loaded" in load(asterisk), asterisk.said()
    assert echoes(asterisk)
    for tls in (False, True):
        serves(tls)
    def withdrawn():
        unload(asterisk)
        return not running(asterisk)
    asterisk.wait_for(withdrawn, 60, "the module stays though nobody is connected")  # chan_sip keeps a dialogue for 32 s
    assert echoes(asterisk)
    serves(True)

@pytest.mark.parametrize("autoload", [False, True], ids=["autoload off", "autoload on"])
@pytest.mark.parametrize("stock_engine", [False, True], ids=["alone", "beside stock's engine"])
def test_it_serves_from_modules_conf(start, suite, autoload, stock_engine):
    asterisk = start(suite, Setup(autoload=autoload, stock_engine=stock_engine))
    assert running(asterisk), asterisk.said()
    assert ("Running" in asterisk.cli(f"module show like {STOCK_ENGINE[1]}")) == stock_engine
    assert echoes(asterisk)
    for tls in (False, True):
        with SipClient(asterisk, "1001" if tls else "1003", tls) as client:
            assert client.register().status == 200
    assert not re.search(rf"(ERROR|WARNING).*{MODULE}", asterisk.log()), asterisk.said()

def test_it_says_what_it_is(shared):
    assert re.search(rf"^{MODULE}\.so\s+\S.*\s+Running", shared.cli("module show like rust"), re.MULTILINE)
    helped = shared.cli("core show help webrtc")
    assert re.search(r"^\s*webrtc \w+", helped, re.MULTILINE), helped
    assert "No such command" not in shared.cli("webrtc show sessions")

def state(asterisk):
    """What a refusal must leave as it was: the kinds of threads, and what is registered with the core."""
    commands = ["http show status", "core show help webrtc", "core show help rtp", "core show channeltypes"]
    return set(asterisk.threads()), [asterisk.cli(command) for command in commands]

def test_it_does_not_take_the_place_of_a_server_with_sessions(start, suite):
    setup = Setup(engine="stock")
    asterisk = start(suite, setup, module=module_file(suite))
    with SipClient(asterisk) as client:
        assert client.register().status == 200
        before, since = state(asterisk), len(asterisk.log())
        said = load(asterisk)
        assert "Unable to load" in said, said
        assert asterisk.wait_log(r"(ERROR|WARNING).*modules\.conf", since=since)
        assert not running(asterisk)
        asterisk.wait_for(lambda: state(asterisk) == before, 5, lambda: f"{before} became {state(asterisk)}")
        assert client.register().status == 200
        assert client.register(expires=0).status == 200
        assert echoes(asterisk)

def patched(suite, tmp_path, old, new):
    """A copy of the module in which `old` became `new`, of the same length, everywhere."""
    assert len(old) == len(new)
    with open(module_file(suite), "rb") as file:
        data = file.read()
    assert old in data, f"the module does not contain {old!r}"
    path = tmp_path / f"{MODULE}.so"
    path.write_bytes(data.replace(old, new))
    return str(path)

def refuses(start, suite, module):
    """Starts Asterisk with everything but ours, tries to load `module`, and returns what it said and logged."""
    setup = Setup()
    setup.load = without_channel_driver(setup)
    asterisk = start(suite, setup, module=module)
    before, since = state(asterisk), len(asterisk.log())
    said = load(asterisk)
    assert "Unable to load" in said, said
    assert not running(asterisk) and asterisk.alive()
    asterisk.wait_for(lambda: state(asterisk) == before, 5, lambda: f"{before} became {state(asterisk)}")
    assert echoes(asterisk)
    return said + asterisk.log()[since:]

def test_a_module_built_with_other_options_is_refused(start, suite, tmp_path):
    with open(os.path.join(root_of(suite), "usr/include/asterisk/buildopts.h"), encoding="ascii") as file:
        options = re.search(r'AST_BUILDOPT_SUM "(\w+)"', file.read()).group(1)
    module = patched(suite, tmp_path, options.encode(), b"0" * len(options))
    assert re.search(r"not compiled with the same compile-time options|compile-time options", refuses(start, suite, module))

def test_a_module_built_for_another_asterisk_is_refused(start, suite):
    # The sum of the build options is the same from 13 to 22: the module itself compares the versions.
    other = "sid" if suite == "bullseye" else "bullseye"
    said = refuses(start, suite, module_file(other))
    assert re.search(rf"{MODULE}.*(built for|libssl|GLIBC)", said), said

def test_a_module_that_misses_a_symbol_is_refused(start, suite, tmp_path):
    listed = subprocess.run(["nm", "-D", "--undefined-only", module_file(suite)], capture_output=True, text=True, check=True).stdout
    needed = max((line.split()[-1] for line in listed.splitlines() if line.split()[-1].startswith("ast_")), key=len)
    absent = needed[:-1] + "0"
    module = patched(suite, tmp_path, f"\0{needed}\0".encode(), f"\0{absent}\0".encode())
    assert absent in refuses(start, suite, module)
