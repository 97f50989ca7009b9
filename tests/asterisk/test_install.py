"""make install and uninstall, into a directory of the test's."""

import os
import subprocess

import pytest

from asterisk import SOURCE

@pytest.fixture
def place(tmp_path):
    """A stand-in for a system with Debian's Asterisk: its configuration and its package database."""
    for directory in ("etc/asterisk", "var/lib/dpkg/info", "usr/lib/asterisk/modules"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/asterisk/asterisk.conf").write_text("[directories](!)\nastmoddir => /usr/lib/asterisk/modules ; here\n")
    (tmp_path / "var/lib/dpkg/status").write_text("")
    (tmp_path / "built.so").write_bytes(b"module")
    return tmp_path

def install(place, *arguments):
    """Runs the script; returns its status and what it said."""
    done = subprocess.run([os.path.join(SOURCE, "build/install"), *arguments, f"DESTDIR={place}"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr

def test_it_goes_where_asterisk_conf_says_and_comes_away(place):
    module, config = place / "usr/lib/asterisk/modules/res_rust_webrtc.so", place / "etc/asterisk/webrtc.conf"
    status, said = install(place, str(place / "built.so"))
    assert status == 0, said
    assert module.read_bytes() == b"module" and module.stat().st_mode & 0o777 == 0o644
    assert config.exists()
    config.write_text("mine")
    assert install(place, str(place / "built.so"))[0] == 0
    assert config.read_text() == "mine"
    assert install(place, "--remove")[0] == 0
    assert not module.exists() and config.read_text() == "mine"
    assert os.listdir(place / "usr/lib/asterisk/modules") == []

def test_a_file_of_a_package_is_left_alone(place):
    module = place / "usr/lib/asterisk/modules/res_rust_webrtc.so"
    module.write_bytes(b"the package's")
    (place / "var/lib/dpkg/status").write_text("Package: asterisk-res-rust-webrtc\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nMaintainer: x\nDescription: x\n")
    (place / "var/lib/dpkg/info/asterisk-res-rust-webrtc.list").write_text("/.\n/usr/lib/asterisk/modules/res_rust_webrtc.so\n")
    for arguments in ([str(place / "built.so")], ["--remove"]):
        status, said = install(place, *arguments)
        assert status == 1 and "belongs to the package asterisk-res-rust-webrtc" in said
        assert module.read_bytes() == b"the package's"

def test_a_running_mapping_keeps_its_file(place):
    module = place / "usr/lib/asterisk/modules/res_rust_webrtc.so"
    module.write_bytes(b"old")
    with open(module, "rb") as mapped:
        assert install(place, str(place / "built.so"))[0] == 0
        assert mapped.read() == b"old" and module.read_bytes() == b"module"

def test_without_a_place_it_says_what_to_say(place):
    (place / "etc/asterisk/asterisk.conf").unlink()
    status, said = install(place, str(place / "built.so"))
    assert status == 1 and "MODDIR=" in said
