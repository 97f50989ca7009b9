"""A build that lacks something ends with a sentence that names the package, not with a backtrace."""

import os
import subprocess

import pytest

from asterisk import SOURCE

pytestmark = pytest.mark.ours

# A library folder of this namespace's own, from which libclang can be taken away.
WITHOUT_LIBCLANG = """
set -eu
mount -t tmpfs tmpfs "$1"; mkdir "$1/upper" "$1/work" "$1/none"
libraries=/usr/lib/$(uname -m)-linux-gnu
mount -t overlay overlay -o "lowerdir=$libraries,upperdir=$1/upper,workdir=$1/work" "$libraries"
rm -f "$libraries"/libclang*
for folder in /usr/lib/llvm-*/lib; do mount --bind "$1/none" "$folder"; done
shift
exec "$@"
"""

CHECK = ["cargo", "check", "--locked", "--lib"]

def said(command, include):
    """What a build that fails writes. Its own target directory, so that no other build is made stale."""
    environment = dict(os.environ, ASTERISK_INCLUDE_DIR=include, CARGO_TARGET_DIR=os.path.join(SOURCE, "target/lacking"))
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode, "the build succeeded"
    assert "stack backtrace" not in done.stderr
    return done.stderr

def test_without_headers_the_package_is_named(tmp_path):
    assert "install the package asterisk-dev" in said(CHECK, str(tmp_path))

def test_without_libclang_the_package_is_named(tmp_path):
    headers = subprocess.run([os.path.join(SOURCE, "tests/rig/headers")], capture_output=True, text=True, check=True).stdout.strip()
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", WITHOUT_LIBCLANG, "lacking", str(tmp_path), *CHECK]
    assert "package libclang-dev" in said(command, headers)
