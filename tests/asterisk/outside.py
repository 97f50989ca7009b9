"""The world outside of a test's Asterisk: a second network, a NAT on the way to it, and Debian's coturn in it.

    Asterisk's network  198.51.100.1, 10.77.0.2 ──veth── 10.77.0.1  this network  203.0.113.9 (server), 203.0.113.20 (peer)

The NAT is nftables' in this network: what comes from 10.77.0.0/24 is seen as from 203.0.113.5.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
SERVER, USER, PASSWORD = "203.0.113.9", "rig", "turn-secret"

NAT = """
table ip outside {
	chain translate { type nat hook input priority 100; ip saddr 10.77.0.0/24 meta l4proto udp snat to 203.0.113.5:40000-60000; }
	chain direct { type filter hook input priority 0; }
}
"""
# coturn knows the realm's user and nothing else; peers of private and loopback addresses are its own business.
TURN = ["--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech", f"--user={USER}:{PASSWORD}", "--realm=rig", f"--listening-ip={SERVER}",
        f"--relay-ip={SERVER}", "--no-software-attribute", "--log-file=stdout", "--simple-log", "--no-rfc5780"]

class Outside:
    """A context manager, for one instance in a network of its own."""

    INSIDE, NAT, PEER, NOBODY = "10.77.0.2", "203.0.113.5", "203.0.113.20", "203.0.113.99"

    def __init__(self, pid):
        """`pid` is a process in the instance's network."""
        self.pid = pid
        self.holder = self.server = self.files = None

    def __enter__(self):
        self.files = tempfile.TemporaryDirectory(prefix="outside.")
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=self.die_with_parent)
        for _ in range(100):
            if os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"):
                break
            time.sleep(0.02)
        self.outside("ip", "link", "set", "lo", "up")
        self.outside("ip", "link", "add", "out0", "type", "veth", "peer", "name", "nat0", "netns", str(self.pid))
        self.outside("sh", "-c", "ip addr add 10.77.0.1/24 dev out0; ip link set out0 up;"
                     f"for a in {SERVER} {self.NAT} {self.PEER}; do ip addr add $a/32 dev lo; done")
        self.inside("sh", "-c", f"ip addr add {self.INSIDE}/24 dev nat0; ip link set nat0 up; ip route add default via 10.77.0.1")
        subprocess.run(self.enter(self.holder.pid, "nft", "-f", "-"), input=NAT, text=True, check=True)
        self.output = open(os.path.join(self.files.name, "turnserver.log"), "wb")
        self.server = subprocess.Popen(
            self.enter(self.holder.pid, "turnserver", "-c", "/dev/null", *TURN, f"--userdb={self.files.name}/db", f"--pidfile={self.files.name}/pid"),
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, preexec_fn=self.die_with_parent)
        for _ in range(200):
            if ":3478" in subprocess.run(self.enter(self.holder.pid, "ss", "-lnu"), capture_output=True, text=True, check=True).stdout:
                return self
            time.sleep(0.05)
        raise AssertionError("coturn does not listen:\n" + self.said())

    def __exit__(self, *_):
        for process in (self.server, self.holder):
            if process:
                process.kill()
                process.wait()
        self.files.cleanup()

    @staticmethod
    def die_with_parent():
        """In the child: SIGKILL when the thread that started it ends."""
        LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)

    @staticmethod
    def enter(pid, *command):
        """The command line that runs a command in that process's network."""
        return ["nsenter", "--target", str(pid), "--net", *command]

    def outside(self, *command):
        """Runs a command in this network and returns what it prints."""
        return subprocess.run(self.enter(self.holder.pid, *command), check=True, capture_output=True, text=True).stdout

    def inside(self, *command):
        """The same in the instance's network."""
        subprocess.run(self.enter(self.pid, *command), check=True)

    @contextlib.contextmanager
    def network(self):
        """Within, this thread's new sockets belong to this network."""
        with open("/proc/thread-self/ns/net", "rb") as here, open(f"/proc/{self.holder.pid}/ns/net", "rb") as there:
            assert LIBC.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield self
            finally:
                LIBC.setns(here.fileno(), CLONE_NEWNET)

    def forbid_direct(self):
        """From now on UDP from the instance reaches the server's port and nothing else."""
        self.outside("nft", "add", "rule", "ip", "outside", "direct", "iifname", "out0", "udp", "dport", "!=", "3478", "counter", "drop")

    def dropped(self):
        """How many packets that has stopped."""
        return int(re.search(r"counter packets (\d+)", self.outside("nft", "list", "table", "ip", "outside")).group(1))

    def relays(self):
        """How many relayed ports the server has open."""
        listening = self.outside("ss", "-Hlnu")
        return len(re.findall(rf"{re.escape(SERVER)}:(?!3478\b)\d+", listening))

    def said(self):
        """What the server printed."""
        with open(os.path.join(self.files.name, "turnserver.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]
