"""The library for other machines than this one: musl, as in Alpine, and ARM.
It reads a device there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import HERE, SAMPLE, SYSTEM, need, run
from test_build import needed
from test_versions import TREE, long

SOURCE = HERE.parent
# Libraries for D-Bus and the like are this machine's.
OPTIONS = ("--disable-dbus --disable-bluetooth --disable-rdma --without-libnl "
           "--disable-usb")
ARM = "aarch64-linux-gnu"
PROGRAM = """
#include <stdio.h>
#include <pcap/pcap.h>

int
main(int argc, char **argv)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const unsigned char *data;
	pcap_t *p = pcap_open_live(argv[argc - 1], 65535, 1, 100, errbuf);
	struct bpf_program filter;
	int status;

	if (p == NULL) {
		fprintf(stderr, "%s\\n", errbuf);
		return (1);
	}
	if (argc > 2 && (pcap_compile(p, &filter, argv[1], 1, 0) != 0 ||
	    pcap_setfilter(p, &filter) != 0))
		return (1);
	while ((status = pcap_next_ex(p, &h, &data)) >= 0) {
		if (status == 1)
			printf("%ld.%06ld\\n", (long)h->ts.tv_sec,
			    (long)h->ts.tv_usec);
	}
	fprintf(stderr, "%s\\n", pcap_geterr(p));
	pcap_close(p);
	return (status == PCAP_ERROR_BREAK ? 0 : 1);
}
"""


def start(folder, *arguments):
    """Starts a build."""
    folder.mkdir()
    script = ('"$@" && make -s -j2 lib.stamp && make -s run/probe')
    return subprocess.Popen(
        ["sh", "-c", script, "sh", SOURCE / "configure", "-q",
         f"--with-libpcap={TREE}", f"LIBPCAP_OPTIONS={OPTIONS}", *arguments],
        cwd=folder, env=SYSTEM, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """The folders of the builds, which are made side by side."""
    top = tmp_path_factory.mktemp("elsewhere")
    # The kernel's headers, without the C library's.
    headers = top / "headers"
    headers.mkdir()
    for name in ("linux", "asm-generic", f"{os.uname().machine}-linux-gnu/asm"):
        (headers / Path(name).name).symlink_to(f"/usr/include/{name}")
    started = {}
    if shutil.which("musl-gcc"):
        started["musl"] = start(
            top / "musl", "--without-tls", "CC=musl-gcc", f"CPPFLAGS=-isystem {headers}",
            f"CFLAGS=-g -O2 -isystem {headers}")
    if shutil.which(f"{ARM}-gcc"):
        started["arm64"] = start(top / "arm64", f"--host={ARM}")
    for name, process in started.items():
        said = process.communicate(timeout=900)[0]
        assert process.returncode == 0, said
    return {name: top / name for name in started}


def reader(compiler, folder):
    """A program that says when each packet of a device was sniffed that a
    filter lets pass, if there is one in front."""
    (folder / "reader.c").write_text(PROGRAM)
    result = run(compiler, "-o", folder / "reader", folder / "reader.c", "-I",
                 folder / "libpcap", "-L", folder / "lib", "-lpcap",
                 env=SYSTEM)
    assert result.returncode == 0, result.stderr
    return folder / "reader"


def times(text):
    return [line.split()[0] for line in text.splitlines() if line]


def check_reading(serve, *command, words=(), env=SYSTEM):
    result = run(*command, *words, serve([700, SAMPLE.read_bytes()]).device,
                 env=env)
    assert (result.returncode, result.stderr) == (0, "end of stream\n")
    expected = run("tcpdump", "-tt", "-n", "-r", SAMPLE, *words,
                   env=SYSTEM).stdout
    assert times(result.stdout) == times(expected) != []


@long
def test_musl(builds, serve):
    need("musl-gcc")
    folder = builds["musl"]
    library = folder / "lib" / "libpcap.so"
    assert needed(library) == {"libc.so"}
    program = reader("musl-gcc", folder)
    env = ["env", f"LD_LIBRARY_PATH={folder}/lib"]
    check_reading(serve, *env, program)
    result = run(*env, program, "tls:127.0.0.1:1", env=SYSTEM)
    assert result.stderr == "tls:127.0.0.1:1: this libpcap was built " \
        "without OpenSSL 3, which TLS needs\n"
    result = run(folder / "run" / "probe", library, env=SYSTEM)
    assert result.stdout.splitlines()[0].endswith(", with tcp: devices")


@long
def test_arm64(builds, serve, tmp_path):
    need(f"{ARM}-gcc", "qemu-aarch64")
    folder = builds["arm64"]
    result = run("readelf", "-h", folder / "lib" / "libpcap.so", env=SYSTEM)
    assert "AArch64" in result.stdout
    root = tmp_path / "root"
    shutil.copytree(f"/usr/{ARM}/lib", root / "lib", symlinks=True)
    command = ["qemu-aarch64", "-L", root, "-E",
               f"LD_LIBRARY_PATH={folder}/lib",
               reader(f"{ARM}-gcc", folder)]
    check_reading(serve, *command)
    check_reading(serve, *command, words=["udp port 53"])
    check_reading(serve, *command, words=["udp port 53"],
                  env=dict(SYSTEM, PCAP_TCP_JIT="no"))
