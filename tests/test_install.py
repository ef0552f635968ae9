"""make install and uninstall."""

import os
import re
import subprocess

import pytest

from conftest import ASAN, BUILD, HERE, SAMPLE, SYSTEM, run
from test_release import VERSION

SOURCE = HERE.parent


def make(*arguments):
    result = run("make", "-s", "-C", BUILD, *arguments, env=SYSTEM)
    assert result.returncode == 0, result.stdout + result.stderr


def tree(top):
    return {str(p.relative_to(top)): p.stat().st_mode & 0o777
            for p in top.rglob("*") if not p.is_dir()}


def closed_folders(top):
    """Those that not everyone may enter."""
    return [p for p in top.rglob("*")
            if p.is_dir() and p.stat().st_mode & 0o777 != 0o755]


def expected(prefix):
    version = (BUILD / "libpcap" / "VERSION").read_text().strip()
    library = {f"lib/pcap-tcp/{name}": 0o755
               for name in ("libpcap.so", "libpcap.so.0.8", "libpcap.so.1",
                            f"libpcap.so.{version}", "probe", "status",
                            "try")}
    return {prefix + name: mode for name, mode in {
        **library, "bin/pcap-tcp-run": 0o755,
        "share/man/man1/pcap-tcp-run.1": 0o644,
        "share/man/man7/pcap-tcp.7": 0o644}.items()}


@pytest.fixture
def umask():
    old = os.umask(0o077)
    yield
    os.umask(old)


@pytest.mark.parametrize("place", ["prefix", "PREFIX", "DESTDIR"])
def test_install_and_uninstall(place, tmp_path, umask):
    where = [f"DESTDIR={tmp_path}", "prefix=/usr"] if place == "DESTDIR" \
        else [f"{place}={tmp_path}/usr"]
    make("install", *where)
    assert tree(tmp_path) == expected("usr/")
    assert closed_folders(tmp_path) == []
    prefix = "/usr" if place == "DESTDIR" else f"{tmp_path}/usr"
    script = (tmp_path / "usr/bin/pcap-tcp-run").read_text()
    assert f"libdir='{prefix}/lib/pcap-tcp'\n" in script
    assert f"version='{VERSION}'\n" in script
    page = (tmp_path / "usr/share/man/man7/pcap-tcp.7").read_text()
    # The one that the library has been built to read.
    path = re.search(r"\.Pa (\S+/pcap-tcp/devices)", page)[1]
    folder = path[:-len("/pcap-tcp/devices")]
    assert f'#define PCAP_TCP_SYSCONFDIR "{folder}"' in \
        (BUILD / "libpcap" / "config.h").read_text()
    assert not re.search("@[A-Z]+@", script + page)
    for _ in range(2):
        make("uninstall", *where)
        assert tree(tmp_path) == {}
        assert not (tmp_path / "usr/lib/pcap-tcp").exists()


def test_install_twice_over_another_version(tmp_path):
    make("install", f"prefix={tmp_path}")
    old = tmp_path / "lib/pcap-tcp/libpcap.so.1.9.9"
    old.write_text("x")
    make("install", f"prefix={tmp_path}")
    assert tree(tmp_path) == expected("")
    assert not old.exists()


def test_installed_program_reads_a_device(serve, tmp_path):
    if ASAN:
        pytest.skip("a sanitizer build has to be loaded first")
    make("install", f"prefix={tmp_path}")
    result = run(tmp_path / "bin/pcap-tcp-run", "tcpdump", "-n", "-tt", "-i",
                 serve([SAMPLE.read_bytes()]).device, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == subprocess.run(
        ["tcpdump", "-n", "-tt", "-r", SAMPLE], env=SYSTEM, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
