"""libpcap's own test programs, compiled as they are in the tree that we build,
with its library, on a tcp: device."""

import re
import shutil
import time

import pytest

from conftest import (ASAN, BUILD, SYSTEM, free_port, need, run,
                      wait_until)
from pcapfile import header, numbered, packets, pcap

SOURCES = BUILD / "libpcap" / "testprogs"
COUNT = 3000
DNS = COUNT // 2  # of them, to port 53
STREAM = pcap(numbered(COUNT))


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """program(NAME): the path of that test program."""
    need("gcc")
    folder = tmp_path_factory.mktemp("testprogs")
    for source in SOURCES.glob("*.[ch]"):
        shutil.copy(source, folder)
    # It gives itself a minute before it breaks the loop: here it is told when.
    threads = folder / "threadsignaltest.c"
    text = threads.read_text()
    for old, new in (("sleep_secs(60)", "getchar()"), (
            "opterr = 0;", "opterr = 0; setvbuf(stdout, NULL, _IOLBF, 0);")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    threads.write_text(text)

    def build(name):
        path = folder / name
        if not path.exists():
            result = run("gcc", "-w", "-DHAVE_CONFIG_H", "-I",
                         BUILD / "libpcap", "-o", path, f"{path}.c", "-L",
                         BUILD / "lib", "-lpcap", "-lpthread", env=SYSTEM)
            assert result.returncode == 0, result.stderr
        return path

    return build


def seen(text, how="seen"):
    return sum(int(n) for n in re.findall(rf"(\d+) packets? {how}", text))


@pytest.mark.parametrize("options", [
    [], ["-p"], ["-a"], ["-s", "100"], ["-B", "1000000"]], ids=" ".join)
def test_opentest(program, serve, options):
    device = serve([header(), "hold"]).device
    result = run(program("opentest"), *options, "-i", device)
    assert result.returncode == 0
    assert result.stdout == f"{device} opened successfully\n"
    assert result.stderr == ""


def test_opentest_refused(program):
    device = f"tcp:127.0.0.1:{free_port()}"
    result = run(program("opentest"), "-i", device)
    assert result.returncode == 1
    assert result.stderr == f"opentest: {device}: cannot connect to " \
        f"{device[4:]}: Connection refused\n"


def test_opentest_monitor_mode(program, serve):
    result = run(program("opentest"), "-I", "-i", serve().device)
    assert result.returncode == 1
    assert "That device doesn't support monitor mode" in result.stderr


def test_can_set_rfmon_test(program, serve):
    device = serve().device
    result = run(program("can_set_rfmon_test"), device)
    assert result.stdout == f"{device}: Monitor mode cannot be set\n"
    assert result.returncode == 0


@pytest.mark.parametrize("options,count", [
    ([], COUNT), (["-m"], COUNT), (["-n"], COUNT), (["-t", "50"], COUNT),
    (["-m", "udp", "dst", "port", "53"], DNS)])
def test_capturetest(program, serve, options, count):
    flags = [o for o in options if o.startswith("-") or o.isdigit()
             and options[0] == "-t"]
    words = [o for o in options if o not in flags]
    result = run(program("capturetest"), *flags, "-i",
                 serve([STREAM]).device, *words)
    assert result.returncode == 0, result.stderr
    assert seen(result.stdout) == count
    assert f"{COUNT} ps_recv, 0 ps_drop, 0 ps_ifdrop" in result.stdout
    # It takes the end of a stream for its own SIGINT: all that
    # PCAP_ERROR_BREAK says to it.
    assert "Broken out of loop from SIGINT handler" in result.stdout


# -s select, -p poll, -t with a time-out, -n non-blocking, -q less output.
@pytest.mark.parametrize("options", [
    ["-s", "-q"], ["-p", "-q"], ["-s", "-q", "-n"], ["-p", "-q", "-n"],
    ["-s", "-t", "-q", "-n"], ["-p", "-t", "-q", "-n"]], ids=" ".join)
@pytest.mark.parametrize("words,count", [
    ([], COUNT), (["udp", "dst", "port", "53"], DNS)], ids=["all", "filter"])
def test_selpolltest(program, serve, options, words, count):
    result = run(program("selpolltest"), *options, "-i",
                 serve([1448, STREAM]).device, *words)
    assert result.returncode == 0
    assert seen(result.stdout, "seen") == count
    assert "WARNING" not in result.stderr  # as of pcap_lookupnet()


@pytest.mark.parametrize("options", [[], ["-n"]],
                         ids=["with a signal", "without"])
def test_threadsignaltest(program, serve, start, options):
    """pcap_breakloop() of another thread ends a read that waits, also
    without the SIGUSR1 that other kinds of devices need for it."""
    running = start(program("threadsignaltest"), *options, "-i",
                    serve([STREAM, "hold"]).device)
    wait_until(lambda: seen("\n".join(running.lines)) == COUNT, "all is seen")
    time.sleep(0.2)  # and the next read waits
    running.command("\n")
    assert running.end() == 0
    assert "Doing pcap_breakloop()" in running.lines
    assert "Loop got broken" in running.lines


def test_nonblocktest(program, serve):
    """All but its last check, which holds for pcap-linux.c: that this makes
    an eventfd anew when a handle becomes blocking, which must fail when the
    table of files is full. We need no new descriptor, so that it cannot
    fail."""
    result = run(program("nonblocktest"), "-i", serve([STREAM, "hold"]).device)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "nonblocktest: WARNING: using pcap_breakloop()",
        "nonblocktest: pcap_setnonblock succeeded even though file table is "
        "full"]


def test_writecaptest(program, serve, start, tmp_path):
    path = tmp_path / "written.pcap"
    result = run(program("writecaptest"), "-i", serve([STREAM]).device, "-w",
                 path)
    assert result.returncode == 0
    assert packets(path) == numbered(COUNT)
    assert f"{COUNT} ps_recv, 0 ps_drop" in result.stdout + result.stderr


def test_writecaptest_link_types(program, serve):
    result = run(program("writecaptest"), "-L", "-i",
                 serve([header(), "hold"]).device)
    assert result.stdout + result.stderr == "EN10MB\n"


def test_findalldevstest(program):
    """Prints all devices; none of ours is among them, and none is lost."""
    ours = run(program("findalldevstest"))
    system = run(program("findalldevstest"), env=SYSTEM)
    assert ours.returncode == system.returncode
    assert ours.stdout == system.stdout


def test_valgrindtest(program, serve, tmp_path):
    """Sets a filter with uninitialised parts; valgrind is to complain about
    the program's own setsockopt() on a packet socket. On our descriptor,
    which is no socket, the call fails, and nothing else comes of it."""
    need("valgrind")
    if ASAN:
        pytest.skip("valgrind can't run a sanitizer build")
    device = serve([STREAM, "hold"]).device
    result = run("valgrind", "-q", "--error-exitcode=0",
                 program("valgrindtest"), "-a", "-i", device)
    assert result.returncode == 0, result.stderr
    assert "libpcap" not in result.stderr


def test_reactivatetest(program):
    """Has "lo" for its device, so that it shows only that this still works;
    tests/calls.c makes the same call on ours."""
    result = run(program("reactivatetest"))
    assert result.returncode == 0 or "permission" in result.stderr.lower()
