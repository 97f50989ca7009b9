"""The packages that `make deb` leaves in dist/: in a clean root they install, upgrade and go, and leave it as it was."""

import os
import re
import subprocess
import tempfile

import pytest

from asterisk import SOURCE, root_of
from configuration import MODULE, Setup
from conftest import SUITES

NAME = "asterisk-res-rust-webrtc"

# In an overlay over the suite's root. What dpkg itself keeps (database, log, caches) is not looked at.
SESSION = r"""
set -eu
root=$1 scratch=$2
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
mount --bind "$scratch/share" "$scratch/root/mnt"
mount -t proc proc "$scratch/root/proc"
exec chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive sh -eu /mnt/session
"""
LIFE = r"""
system() { find / -xdev \( -path /proc -o -path /dev -o -path /mnt -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /tmp \) -prune \
	-o \( -type f -exec md5sum {} + \) -o -printf '%y %p %l\n' | sort; }
say() { echo "== $*"; }
module=$(dpkg -L asterisk-modules | sed -n 's,/res_http_websocket\.so$,/res_rust_webrtc.so,p')
system >/mnt/before
say install; dpkg -i /mnt/first.deb
test -f "$module"; test -f /etc/asterisk/webrtc.conf
dpkg-query -W -f '${Conffiles}\n' NAME | grep -q /etc/asterisk/webrtc.conf
dpkg --verify NAME
echo '; mine' >>/etc/asterisk/webrtc.conf
say upgrade; dpkg -i /mnt/second.deb
dpkg-query -W -f 'version ${Version}\n' NAME
grep -q '; mine' /etc/asterisk/webrtc.conf
say remove; dpkg -r NAME
test ! -e "$module"; grep -q '; mine' /etc/asterisk/webrtc.conf
say purge; dpkg -P NAME
system >/mnt/after
say done
""".replace("NAME", NAME)

def package(suite):
    """The built package of a suite."""
    folder = os.path.join(SOURCE, "dist", suite)
    found = [name for name in os.listdir(folder) if re.match(rf"{NAME}_.*\.deb$", name)] if os.path.isdir(folder) else []
    assert len(found) == 1, f"{folder} holds {found}: run make deb"
    return os.path.join(folder, found[0])

def field(suite, name):
    """A field of the package's control file."""
    return subprocess.run(["dpkg-deb", "-f", package(suite), name], capture_output=True, text=True, check=True).stdout.strip()

def session(suite, script, packages):
    """Runs a script in a fresh overlay over the root; packages by the name they have in /mnt. Returns status, output, /mnt."""
    with tempfile.TemporaryDirectory(prefix="package.") as scratch:
        for name in ("upper", "work", "root", "share"):
            os.mkdir(os.path.join(scratch, name))
        share = os.path.join(scratch, "share")
        for name, source in packages.items():
            subprocess.run(["cp", source, os.path.join(share, name)], check=True)
        with open(os.path.join(share, "session"), "w", encoding="ascii") as file:
            file.write(script)
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", SESSION, "session", root_of(suite), scratch],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        left = {}
        for name in ("before", "after"):
            if os.path.exists(os.path.join(share, name)):
                with open(os.path.join(share, name), encoding="utf-8", errors="replace") as file:
                    left[name] = file.read().splitlines()
        return done.returncode, done.stdout, left

def newer(suite, folder):
    """The same package with a higher version."""
    tree = os.path.join(folder, "tree")
    subprocess.run(["dpkg-deb", "-R", package(suite), tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control, encoding="utf-8") as file:
        text = re.sub(r"^Version: (.*)$", r"Version: \1+1", file.read(), flags=re.MULTILINE)
    with open(control, "w", encoding="utf-8") as file:
        file.write(text)
    path = os.path.join(folder, "second.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, path], check=True, capture_output=True)
    return path

@pytest.mark.parametrize("suite", SUITES)
def test_it_is_installed_upgraded_and_removed_without_trace(suite, tmp_path):
    status, said, left = session(suite, LIFE, {"first.deb": package(suite), "second.deb": newer(suite, str(tmp_path))})
    assert status == 0 and "== done" in said, said
    assert f"version {field(suite, 'Version')}+1" in said
    assert len(left["before"]) > 5000
    assert left["before"] == left["after"], sorted(set(left["before"]) ^ set(left["after"]))[:20]

@pytest.mark.parametrize("suite", SUITES)
def test_it_depends_on_the_suite_s_asterisk(suite):
    depends = field(suite, "Depends")
    major = 16 if suite == "bullseye" else 22
    assert re.search(r"\basterisk-(abi-)?[0-9a-f]{32}\b", depends), depends
    assert f"asterisk (>= 1:{major}~)" in depends and f"asterisk (<< 1:{major + 1}~)" in depends
    assert "libssl" in depends and "libc6" in depends

@pytest.mark.parametrize("suite", SUITES)
def test_its_files(suite):
    listed = subprocess.run(["dpkg-deb", "-c", package(suite)], capture_output=True, text=True, check=True).stdout
    for path in ("./etc/asterisk/webrtc.conf", f"/asterisk/modules/{MODULE}.so", f"./usr/share/doc/{NAME}/copyright",
                 f"./usr/share/doc/{NAME}/changelog.gz", f"/{NAME}/README.md", f"/{NAME}/migrating.md"):
        assert path in listed, listed
    assert all(line.split()[1] == "root/root" for line in listed.splitlines())

@pytest.mark.skipif(len(SUITES) < 2, reason="needs the packages of two suites")
def test_the_package_of_another_suite_is_refused():
    status, said, _ = session("bullseye", "dpkg -i /mnt/first.deb", {"first.deb": package("sid")})
    assert status != 0 and "dependency problems" in said, said

@pytest.mark.parametrize("suite", SUITES)
def test_the_module_in_it_runs(suite, tmp_path, start):
    subprocess.run(["dpkg-deb", "-x", package(suite), str(tmp_path)], check=True)
    found = subprocess.run(["find", str(tmp_path), "-name", f"{MODULE}.so"], capture_output=True, text=True, check=True).stdout.split()
    asterisk = start(suite, Setup(), module=found[0])
    assert re.search(rf"^{MODULE}\.so\s.*Running", asterisk.cli(f"module show like {MODULE}"), re.MULTILINE), asterisk.said()
