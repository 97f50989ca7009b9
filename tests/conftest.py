"""Fixtures: disposable Asterisk instances, one shared for each suite and one of its own for a test that asks."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "rig"))
from asterisk import Asterisk, end_on_signal  # noqa: E402
from configuration import Setup  # noqa: E402

SUITES = os.environ.get("RIG_SUITES", "bullseye sid").split()
ENGINE = os.environ.get("ENGINE", "ours")

def pytest_configure(config):
    """A SIGTERM stops the instances as an interrupt does."""
    end_on_signal()
    if os.geteuid() != 0:
        pytest.exit("the Asterisk tests make namespaces and a chroot: run them as root, or with sudo -E", 1)

def pytest_collection_modifyitems(config, items):
    """With ENGINE=stock, what only the module does is left out, by name and not silently."""
    if ENGINE == "stock":
        left_out = [item for item in items if item.get_closest_marker("ours")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of the log of the instances that it used."""
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            for instance in value if isinstance(value, list) else [value]:
                if isinstance(instance, Asterisk) and instance.base:
                    report.sections.append((f"log of {name} ({instance.suite})", instance.said()[-3000:]))

@pytest.fixture(scope="session", params=SUITES)
def shared(request):
    """An instance that tests share; they leave it as they found it."""
    with Asterisk(request.param, Setup(engine=ENGINE)) as asterisk:
        yield asterisk
        assert asterisk.alive(), f"Asterisk died during the tests:\n{asterisk.said()}"

@pytest.fixture(params=SUITES)
def suite(request):
    """The suites one after another, for tests that start their own instance."""
    return request.param

@pytest.fixture
def start():
    """Starts instances that end with the test: start(suite, Setup(...))."""
    running = []
    def starter(suite, setup=None, **more):
        setup = setup or Setup()
        asterisk = Asterisk(suite, setup, **more)
        running.append(asterisk)
        asterisk.__enter__()
        return asterisk
    starter.running = running
    yield starter
    for asterisk in running:
        asterisk.stop()

@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def tls(request):
    """Plain and TLS."""
    return request.param
