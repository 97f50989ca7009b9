"""A network that loses, delays, doubles and reorders: between an instance and a network namespace for the browser.

Packets go through a pair of TUN devices and this process, which treats UDP as a seeded generator says and lets TCP (the
signalling) pass. The kernel's own netem would do the same, but is a module that not every kernel of a test machine has.

    with Asterisk("bullseye", setup, phone=True) as asterisk, Network(asterisk, loss=5) as network:
        subprocess.run(network.inside(["node", ...]))
"""

import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import threading
import time

from asterisk import CLONE_NEWNET, LIBC, RigError, die_with_parent

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
THERE, HERE = "203.0.113.1", "203.0.113.2"  # the instance's end and the browser's: documentation addresses
UDP = 17

def tun_in(pid, name):
    """A TUN device in the network of process `pid`, as its descriptor."""
    made = []
    def make():
        # A thread of its own: it enters the network and ends there.
        with open(f"/proc/{pid}/ns/net", "rb") as network:
            if LIBC.setns(network.fileno(), CLONE_NEWNET):
                return
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        made.append(fd)
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise RigError(f"no TUN device could be made in the network of {pid}")
    return made[0]

class Network:
    """The way between the two. `loss` and `duplicate` in percent, `delay` and `jitter` in seconds, each way; what they
    are may be changed while it runs."""

    def __init__(self, asterisk, loss=0, duplicate=0, delay=0.0, jitter=0.0, seed=1):
        self.asterisk, self.loss, self.duplicate, self.delay, self.jitter = asterisk, loss, duplicate, delay, jitter
        self.random = random.Random(seed)
        self.passed = self.lost = 0
        self.ended = threading.Event()
        self.holder, self.thread, self.ends = None, None, []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Makes the browser's network and begins to pass packets."""
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=die_with_parent)
        own = os.stat("/proc/self/ns/net").st_ino
        deadline = time.monotonic() + 5
        while os.stat(f"/proc/{self.holder.pid}/ns/net").st_ino == own:
            if time.monotonic() > deadline:
                raise RigError("no network namespace could be made")
            time.sleep(0.01)
        self.ends = [tun_in(self.asterisk.pid, "way0"), tun_in(self.holder.pid, "way1")]
        for command in (f"addr add {THERE} peer {HERE} dev way0", "link set way0 mtu 1400 up"):
            subprocess.run(self.asterisk.inside(["ip", *command.split()]), check=True)
        for command in ("link set lo up", f"addr add {HERE} peer {THERE} dev way1", "link set way1 mtu 1400 up",
                        "route add default dev way1"):
            subprocess.run(self.inside(["ip", *command.split()]), check=True)
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()

    def stop(self):
        """Ends it and removes the browser's network."""
        self.ended.set()
        if self.thread:
            self.thread.join()
        for fd in self.ends:
            os.close(fd)
        self.ends = []
        if self.holder:
            self.holder.send_signal(signal.SIGKILL)
            self.holder.wait()
            self.holder = None

    def inside(self, command):
        """The command line that runs `command` in the browser's network."""
        return ["nsenter", "--target", str(self.holder.pid), "--net", *command]

    def carry(self):
        """Passes packets both ways until it is ended."""
        waiting, order = [], 0
        other = {self.ends[0]: self.ends[1], self.ends[1]: self.ends[0]}
        while not self.ended.is_set():
            pause = min(0.1, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.1
            for fd in select.select(self.ends, [], [], pause)[0]:
                packet = os.read(fd, 65536)
                for at in self.fate(packet):
                    order += 1
                    heapq.heappush(waiting, (at, order, other[fd], packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(waiting)
                try:
                    os.write(fd, packet)
                except OSError:
                    self.lost += 1

    def fate(self, packet):
        """When the packet is to arrive: once, twice or never."""
        now = time.monotonic()
        if packet[0] >> 4 != 4 or packet[9] != UDP:
            return [now + self.delay]
        if self.random.uniform(0, 100) < self.loss:
            self.lost += 1
            return []
        self.passed += 1
        copies = 2 if self.random.uniform(0, 100) < self.duplicate else 1
        return [now + self.delay + self.random.uniform(0, self.jitter) for _ in range(copies)]
