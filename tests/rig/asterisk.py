#!/usr/bin/python3
"""A disposable Asterisk: started in a cached Debian root under an overlay, in namespaces of its own, gone without trace.

The instance has its own mount, PID and (unless network="host") network namespace, so instances run side by side with
the same ports, nothing they send leaves the machine, and their end takes every process and mount with it. In its own
network it has 127.0.0.1 and 198.51.100.1 (a documentation address, which stock's ICE needs: it offers no loopback).

    with Asterisk("bullseye", Setup(engine="stock")) as asterisk:
        print(asterisk.cli("core show version"))
        with asterisk.network(): ...            # sockets made here live in its network

From a shell:  asterisk.py bullseye [--engine stock] [--network host] [--module FILE] [-- COMMAND ...]
runs COMMAND in the instance's network with RIG_ADDRESS and RIG_PID set; without a command, it waits to be interrupted.
"""

import argparse
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import configuration  # noqa: E402
from configuration import Setup  # noqa: E402

RIG = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(RIG))
ADDRESS = "198.51.100.1"
SCRATCH = os.path.join(tempfile.gettempdir(), "res_rust_webrtc")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000

class RigError(Exception):
    """The rig itself could not do what a test needs; its text is a sentence for a person."""

# Runs as the first process of the namespaces: mounts, network, then Asterisk as its child. It does not become Asterisk:
# the kernel forgets the order to die with the parent when a process changes its user, as `asterisk -U` does.
START = r"""
set -eu
base=$1 lower=$2 network=$3
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$base/upper,workdir=$base/work" "$base/root"
for name in proc sys dev; do mkdir -p "$base/root/$name"; done
mount -t proc proc "$base/root/proc"
mount --rbind /dev "$base/root/dev"
for pair in etc:etc/asterisk run:run/asterisk log:var/log/asterisk; do
	mkdir -p "$base/root/${pair#*:}"
	mount --bind "$base/${pair%%:*}" "$base/root/${pair#*:}"
done
hostname rig
address=127.0.0.1
if [ "$network" = own ]; then
	address=198.51.100.1
	ip link set lo up
	ip link add rig0 type veth peer name rig1
	ip addr add 198.51.100.1/24 dev rig0
	ip link set rig0 up
	ip link set rig1 up
fi
printf '127.0.0.1 localhost\n%s rig\n' "$address" >"$base/root/etc/hosts"
cd /
shift 3
status=0
chroot "$base/root" "$@" || status=$?
exit $status
"""

def root_of(suite):
    """The path of the cached root of `suite`, made when it is not there."""
    made = subprocess.run([os.path.join(RIG, "root"), suite], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise RigError(f"no {suite} root could be had; what tests/rig/root said stands above")
    return made.stdout.strip()

def modules_directory(root):
    """Where the root's Asterisk keeps its modules, by its own asterisk.conf, relative to the root."""
    with open(os.path.join(root, "etc/asterisk/asterisk.conf"), encoding="utf-8") as file:
        found = re.search(r"^\s*astmoddir\s*=>?\s*(\S+)", file.read(), re.MULTILINE)
    return (found.group(1) if found else "/usr/lib/asterisk/modules").lstrip("/")

def built_module(suite):
    """The staged tree of `make install` that tests/rig/build leaves for `suite`."""
    stage = os.path.join(SOURCE, "target", suite, "stage")
    if not os.path.isdir(stage):
        raise RigError(f"the module is not built for {suite}: run tests/rig/build {suite}")
    return stage

def browser_packages():
    """The folder with the browser tests' packages, made when it is not there."""
    made = subprocess.run([os.path.join(SOURCE, "tests/browser/prepare")], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise RigError("the browser tests' packages could not be had; what tests/browser/prepare said stands above")
    return made.stdout.strip()

def sweep():
    """Removes what instances left behind whose maker was killed outright."""
    if not os.path.isdir(SCRATCH):
        return
    for name in os.listdir(SCRATCH):
        maker = name.split(".")[0]
        if maker.isdigit() and not os.path.exists(f"/proc/{maker}"):
            shutil.rmtree(os.path.join(SCRATCH, name), ignore_errors=True)

def die_with_parent():
    """In the child: SIGKILL when the thread that started it ends, however it ends."""
    LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)

class Asterisk:
    """One running instance; a context manager. `address` is where it listens, for whoever is in its network."""

    def __init__(self, suite="bullseye", setup=None, network="own", phone=False, wrapper=(), module=None, timeout=60):
        self.suite = suite
        self.setup = setup or Setup()
        self.setup.technology = self.setup.technology or ("SIP" if suite == "bullseye" else "PJSIP")
        self.own_network = network == "own"
        self.address = ADDRESS if self.own_network else "127.0.0.1"
        if not self.own_network and self.setup.address == "0.0.0.0":
            self.setup.address = "127.0.0.1"
        self.phone = phone  # whether its HTTP server has the web phone at /static/phone/
        self.wrapper = list(wrapper)  # a command that runs Asterisk: valgrind, strace, perf
        self.module = module  # a .so to load in place of the one that tests/rig/build left
        self.timeout = timeout
        self.base = self.process = self.pid = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, prepare=None):
        """Starts the daemon and waits until it is fully booted. `prepare` is given the configuration's folder before."""
        if os.geteuid() != 0:
            raise RigError("must be root, to make namespaces and a chroot: use sudo")
        root = root_of(self.suite)
        os.makedirs(SCRATCH, exist_ok=True)
        sweep()
        self.base = tempfile.mkdtemp(prefix=f"{os.getpid()}.", dir=SCRATCH)
        os.chmod(self.base, 0o755)
        for name in ("upper", "work", "root", "run", "log"):
            os.makedirs(os.path.join(self.base, name))
        if self.setup.autoload:
            shutil.copytree(os.path.join(root, "etc/asterisk"), os.path.join(self.base, "etc"))
        configuration.write(self.setup, os.path.join(self.base, "etc"))
        if prepare:
            prepare(os.path.join(self.base, "etc"))
        with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as file:
            entry = next(line for line in file if line.startswith("asterisk:")).split(":")
        self.uid, self.gid = int(entry[2]), int(entry[3])
        for name in ("etc", "run", "log"):
            for directory, _, files in os.walk(os.path.join(self.base, name)):
                for path in [directory] + [os.path.join(directory, file) for file in files]:
                    os.chown(path, self.uid, self.gid)
        lower = root
        if self.module:
            place = os.path.join(self.base, "upper", modules_directory(root))
            os.makedirs(place)
            shutil.copy(self.module, os.path.join(place, configuration.MODULE + ".so"))
        elif self.setup.engine == "ours":
            lower = built_module(self.suite) + ":" + root
        if self.phone:
            place = os.path.join(self.base, "upper/usr/share/asterisk/static-http/phone")
            shutil.copytree(os.path.join(SOURCE, "tests/browser/phone"), place)
            shutil.copy(os.path.join(browser_packages(), "jssip.js"), place)
        namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=SIGKILL", "--uts"]
        self.output = open(os.path.join(self.base, "output"), "wb")
        self.process = subprocess.Popen(
            ["unshare", *namespaces, *(["--net"] if self.own_network else []), "sh", "-c", START, "start", self.base, lower,
             "own" if self.own_network else "host", *self.wrapper, "/usr/sbin/asterisk", "-U", "asterisk", "-G", "asterisk", "-f"],
            cwd="/", stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=die_with_parent, env={**os.environ, "LC_ALL": "C", "TERM": "dumb"})
        self.wait_booted()

    def wait_booted(self):
        """Returns once the daemon answers and has loaded its modules."""
        deadline = time.monotonic() + self.timeout
        control = os.path.join(self.base, "run", "asterisk.ctl")
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RigError(f"Asterisk ended while starting ({self.process.returncode}):\n{self.said()}")
            if not self.pid:
                self.pid = self.find_pid()
            if self.pid and os.path.exists(control):
                if "fully booted" in self.cli("core waitfullybooted"):
                    return
            time.sleep(0.05)
        raise RigError(f"Asterisk was not ready within {self.timeout} s:\n{self.said()}")

    def find_pid(self):
        """Asterisk's own process id as this process sees it: the grandchild of unshare, once it is in its root."""
        def child(parent):
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                return int(file.read().split()[0])
        try:
            found = child(child(self.process.pid))
            return found if os.readlink(f"/proc/{found}/root") != "/" else None
        except (OSError, IndexError):
            return None

    def said(self):
        """What the daemon printed and logged, for a report."""
        with open(os.path.join(self.base, "output"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:] + "\n" + self.log()[-8000:]

    def stop(self, gently=True):
        """Ends the instance and removes every trace of it. Returns the daemon's exit status."""
        status = None
        if self.process:
            if gently and self.alive() and self.pid:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired, RigError):
                    self.cli("core stop now", timeout=5)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()  # its child is the namespace's first process and dies with it
            status = self.process.wait()
            self.output.close()
            self.process = None
        if self.base:
            # The namespace's mounts go with its last process, which the kernel reaps a moment after the first.
            for _ in range(50):
                shutil.rmtree(self.base, ignore_errors=True)
                if not os.path.exists(self.base):
                    break
                time.sleep(0.1)
            self.base = None
        return status

    def alive(self):
        """Whether the daemon still runs."""
        return self.process is not None and self.process.poll() is None

    def cli(self, command, timeout=30):
        """What `asterisk -rx COMMAND` prints."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--mount", "--root", "--wd", "/usr/sbin/asterisk", "-rx", command],
            cwd="/", capture_output=True, text=True, errors="replace", timeout=timeout, check=False, env={"LC_ALL": "C", "TERM": "dumb"})
        return done.stdout + done.stderr

    def log(self):
        """The whole log so far."""
        try:
            with open(os.path.join(self.base, "log", "full"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout=10, since=0):
        """Waits for a line that matches and returns the match; `since` is a length of the log to begin at."""
        return self.wait_for(lambda: re.search(pattern, self.log()[since:]), timeout, f"no line in the log matches {pattern!r}")

    def wait_for(self, condition, timeout, otherwise):
        """Polls `condition` until it gives something true, and returns that; `otherwise`, or what it returns, is the complaint."""
        deadline = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{otherwise() if callable(otherwise) else otherwise} within {timeout} s")
            if not self.alive():
                raise AssertionError(f"Asterisk died: {self.said()}")
            time.sleep(0.1)

    def threads(self):
        """Its threads' names, sorted."""
        names = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{self.pid}/task/{task}/comm", encoding="utf-8") as file:
                names.append(file.read().strip())
        return sorted(names)

    def descriptors(self):
        """What its file descriptors point at, sorted, without the inode numbers of sockets and pipes."""
        found = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(re.sub(r":\[\d+\]", "", os.readlink(f"/proc/{self.pid}/fd/{fd}")))
        return sorted(found)

    def rss(self):
        """Resident memory in kB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def udp_ports(self):
        """The UDP ports that are bound in its network."""
        ports = set()
        for table in ("udp", "udp6"):
            with open(f"/proc/{self.pid}/net/{table}", encoding="ascii") as file:
                ports |= {int(line.split()[1].split(":")[1], 16) for line in file.readlines()[1:]}
        return ports

    @contextlib.contextmanager
    def network(self):
        """Within, this thread's new sockets belong to the instance's network."""
        if not self.own_network:
            yield
            return
        with open("/proc/thread-self/ns/net", "rb") as here, open(f"/proc/{self.pid}/ns/net", "rb") as there:
            if LIBC.setns(there.fileno(), CLONE_NEWNET):
                raise RigError(f"could not enter the network of {self.pid}: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                LIBC.setns(here.fileno(), CLONE_NEWNET)

    def inside(self, command):
        """The command line that runs `command` in the instance's network, with the host's files."""
        return ["nsenter", "--target", str(self.pid), "--net", *command] if self.own_network else list(command)

    def environment(self):
        """What a program that uses the instance needs to know."""
        more = {"RIG_BROWSER": browser_packages()} if self.phone else {}
        return {**os.environ, "RIG_ADDRESS": self.address, "RIG_PID": str(self.pid), "RIG_PASSWORD": configuration.PASSWORD, **more}

def end_on_signal():
    """A SIGTERM or SIGHUP ends the program the way an exception does, so that instances are stopped and removed."""
    def raise_exit(number, _):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_exit)

def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="Run a disposable Asterisk, and a command beside it.")
    parser.add_argument("suite", choices=["bullseye", "sid"])
    parser.add_argument("--engine", choices=["ours", "stock"], default=os.environ.get("ENGINE", "ours"))
    parser.add_argument("--network", choices=["own", "host"], default="own")
    parser.add_argument("--module", help="a .so to load in place of the one that tests/rig/build left")
    parser.add_argument("--autoload", action="store_true")
    parser.add_argument("--log", help="where to leave a copy of the log")
    arguments = sys.argv[1:] + ["--"]
    cut = arguments.index("--")
    given, command = parser.parse_args(arguments[:cut]), arguments[cut + 1:-1]
    end_on_signal()
    setup = Setup(engine=given.engine, autoload=given.autoload)
    try:
        with Asterisk(given.suite, setup, network=given.network, phone=True, module=given.module) as asterisk:
            try:
                if command:
                    return subprocess.run(asterisk.inside(command), env=asterisk.environment(), check=False).returncode
                print(f"{asterisk.cli('core show version').strip()}\nprocess {asterisk.pid}, phone at "
                      f"https://{asterisk.address}:8089/static/phone/index.html; interrupt to stop", flush=True)
                asterisk.process.wait()
                print(f"Asterisk ended:\n{asterisk.said()}", file=sys.stderr)
                return 1
            finally:
                if given.log:
                    shutil.copy(os.path.join(asterisk.base, "log", "full"), given.log)
    except RigError as error:
        print(f"asterisk: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0

if __name__ == "__main__":
    sys.exit(main())
