"""Filters as machine code: where they are, and that packets come without it,
too. What they let pass is compared in test_differential.py, too."""

import ctypes
import errno
import os
import platform
import re
import resource
import struct
from pathlib import Path

import pytest

from conftest import (BUILD, HERE, OURS, READER, SAMPLE, SYSTEM, run,
                      wait_until)
from test_versions import long

HAS_CODE = platform.machine() in ("x86_64", "aarch64") and \
    "#define PCAP_TCP_NO_FILTER_JIT 1" not in \
    (BUILD / "libpcap/config.h").read_text()
WITHOUT = dict(OURS, PCAP_TCP_JIT="no")
FILTER = "udp port 53"
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 22, 38, 65
MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}


def prctl(*arguments):
    """0, or an errno; an argument may be a buffer."""
    padded = [*arguments, 0, 0, 0, 0][:5]
    status = LIBC.prctl(*[a if isinstance(a, ctypes.Array) else
                          ctypes.c_ulong(a) for a in padded])
    return ctypes.get_errno() if status else 0


def no_memfd():
    """seccomp: memfd_create() fails with EPERM."""
    rules = b"".join(struct.pack("HBBI", *rule) for rule in (
        (0x20, 0, 0, 0), (0x15, 0, 1, MEMFD_CREATE[platform.machine()]),
        (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)))
    buffer = ctypes.create_string_buffer(rules, len(rules))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    return prctl(PR_SET_NO_NEW_PRIVS, 1) or prctl(PR_SET_SECCOMP, 2, program)


def write_or_execute():
    """What systemd's MemoryDenyWriteExecute= asks the kernel for."""
    return prctl(PR_SET_MDWE, 1)


def no_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def filter_memory(program):
    """How the filters' memory may be used. Nothing else of the program is
    both writable and executable."""
    maps = Path(f"/proc/{program.process.pid}/maps").read_text()
    assert not re.search(r" rwx", maps)
    return re.findall(r" (\S{4}) .*memfd:pcap-tcp-filter", maps)


def reading(start, serve, *options, **kw):
    """A reader that has read the sample, and waits for more."""
    program = start(READER, "-p", *options,
                    serve([SAMPLE.read_bytes(), "hold"]).device, **kw)
    program.wait_for("^P ")
    program.wait_until_blocked()
    return program


@pytest.mark.skipif(not HAS_CODE, reason="not for this machine, or left out")
def test_code_cannot_be_written(start, serve):
    assert filter_memory(reading(start, serve, "-f", FILTER)) == ["r-xp"]
    assert filter_memory(reading(start, serve)) == []
    assert filter_memory(reading(start, serve, "-f", FILTER,
                                 env=WITHOUT)) == []


@pytest.mark.skipif(not HAS_CODE, reason="not for this machine, or left out")
def test_another_filter_takes_its_place(start, serve):
    program = reading(start, serve, "-f", FILTER, "-F", "udp")
    wait_until(lambda: len(program.lines) > 2, "the second filter is used")
    assert filter_memory(program) == ["r-xp"]


def packets_of(serve, env=OURS, sandbox=None, inside=()):
    device = serve([SAMPLE.read_bytes()]).device
    result = run(*inside, READER, "-p", "-f", FILTER, "-F", "udp", device,
                 env=env, preexec_fn=sandbox)
    assert (result.returncode, result.stderr) == (0, "")
    return [line for line in result.stdout.splitlines() if line[0] == "P"]


@pytest.mark.parametrize("sandbox", [no_memfd, write_or_execute, no_files])
def test_sandboxes(sandbox, serve):
    if sandbox is no_memfd and platform.machine() not in MEMFD_CREATE:
        pytest.skip("the number of memfd_create() is not known here")

    def enter():
        if sandbox():
            raise OSError("no such sandbox")

    try:
        run("true", preexec_fn=enter)
    except Exception:
        pytest.skip("the kernel does not have it")
    expected = packets_of(serve, WITHOUT)
    assert len(expected) > 1
    assert packets_of(serve) == expected
    assert packets_of(serve, sandbox=enter) == expected


def test_no_memory_file_may_be_executed(serve):
    """vm.memfd_noexec, which each PID namespace has."""
    knob = "/proc/sys/vm/memfd_noexec"
    if os.getuid() != 0 or not Path(knob).exists():
        pytest.skip(f"needs root, and {knob}")
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
              f'echo 2 > {knob} && exec "$@"', "sh"]
    if run(*inside, "true").returncode != 0:
        pytest.skip("no PID namespace can be made here")
    assert packets_of(serve, inside=inside) == packets_of(serve, WITHOUT)


@long
def test_a_build_may_do_without(tmp_path):
    """Its configure tells libpcap's, and no memory is made executable."""
    source = HERE.parent
    assert run(source / "configure", "-q", "--disable-filter-jit",
               cwd=tmp_path, env=SYSTEM).returncode == 0
    option, = re.findall(r"(?m)^FILTER_OPTION = (.+)",
                         (tmp_path / "Makefile").read_text())
    libpcap = tmp_path / "libpcap"
    libpcap.mkdir()
    result = run(BUILD / "libpcap/configure", "-q", option,
                 "--without-libnl", cwd=libpcap, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    result = run("gcc", "-O2", "-Wall", "-Werror", "-I", libpcap, "-I",
                 BUILD / "libpcap", "-c", "-o", tmp_path / "filter.o",
                 source / "pcap-tcp-filter.c", env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert not re.search("memfd|mmap", run(
        "nm", "-u", tmp_path / "filter.o", env=SYSTEM).stdout)
    unit = tmp_path / "unit-filter"
    result = run("gcc", "-O2", "-I", libpcap, "-I", BUILD / "libpcap", "-I",
                 source, "-o", unit, HERE / "unit-filter.c",
                 tmp_path / "filter.o", "-lcmocka", env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert run(unit, env=SYSTEM).returncode == 0
