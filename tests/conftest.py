"""What the tests share: the library under test, programs and senders.

Senders are real: netcat, socat and the like where the stream is whole, and a
socket of our own where it is to be cut, reset or held. Ports are free ones.

No test asserts that something took less than so much time: a machine may be
slow, or busy. What ends at once ends at all, where nothing else would end it
within LIMIT; what costs nothing is a count of wake-ups, or is compared with
another program's that runs beside it.
"""

import atexit
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
from pathlib import Path

import fcntl
import pytest

HERE = Path(__file__).parent
BUILD = Path(os.environ["PCAP_TCP_BUILD"])
SAMPLE = HERE / "data" / "sample.pcap"
READER = str(BUILD / "tests" / "reader")
# What a test starts has this in its environment, and so have its children.
MARK = f"PCAP_TCP_TEST={os.getpid()}"
os.environ.update([MARK.split("=")])
SYSTEM = dict(os.environ, LC_ALL="C")
SIOCOUTQ = 0x5411
# Some tests let other users into their folders. The one that all of a user's
# runs of pytest share is closed to others by each that starts.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix="pcap-tcp-")
    atexit.register(shutil.rmtree, os.environ["PYTEST_DEBUG_TEMPROOT"],
                    ignore_errors=True)
LIMIT = 120  # seconds after which what has not come is taken to hang
HOLD = 0.1  # seconds that a source may hold back the others


# What a shell runs in the background ignores Ctrl-C, and so would programs.
signal.signal(signal.SIGINT, signal.default_int_handler)

ASAN = "-fsanitize=address" in (BUILD / "Makefile").read_text()


def _environment():
    # Without the file of names that this machine may have.
    env = dict(SYSTEM, LD_LIBRARY_PATH=str(BUILD / "lib"), PCAP_TCP_DEVICES="")
    if ASAN:
        linked = subprocess.run(["ldd", BUILD / "lib" / "libpcap.so.0.8"],
                                stdout=subprocess.PIPE, text=True).stdout
        # An unmodified program does not load it first by itself; and its own
        # leaks are not ours.
        env.update(LD_PRELOAD=re.search(r"libasan\S* => (\S+)", linked)[1],
                   ASAN_OPTIONS="detect_leaks=0",
                   UBSAN_OPTIONS="print_stacktrace=1")
    return env


OURS = _environment()


# With pytest-xdist, tests with one of these fixtures run in one process, as it
# takes long to make. So do those of these files, for the same reason or as
# they run make in the build folder.
SHARED = ("archive", "builds", "suricata", "workshop")
TOGETHER = {"test_deb": "make", "test_install": "make",
            "test_upstream": "make", "test_testprogs": "testprogs"}


def _group(item):
    return TOGETHER.get(item.path.stem) or next(
        (name for name in SHARED if name in item.fixturenames), None)


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "xdist_group(name): run in one process (pytest-xdist)")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items):
    for item in items:
        if _group(item):
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    # These take longest, and who begins last would be waited for.
    items.sort(key=lambda item: _group(item) is None)


def need(*programs):
    """Skips the test, with the reason, where a program is missing."""
    for program in programs:
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            pytest.skip(f"{program} is not installed")


def _dumpcap_is_capped():
    try:
        return bool(os.getxattr(shutil.which("dumpcap") or "",
                                "security.capability"))
    except OSError:
        return False


def skip_what_takes_no_library(program, env):
    """The linker ignores LD_LIBRARY_PATH where an ordinary user gets
    capabilities from a file."""
    if program in ("dumpcap", "tshark", "wireshark") and os.getuid() != 0 \
            and "LD_LIBRARY_PATH" in env and _dumpcap_is_capped():
        pytest.skip("dumpcap has file capabilities: only root can test it")


def wait_until(condition, what="it"):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited {LIMIT} s until {what}"
        time.sleep(0.01)


def _port_numbers():
    """A thousand ports of our own, below those that the kernel gives to
    connections. Whoever else runs these tests has others: the name of an
    abstract Unix socket is the lock."""
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(path.read_text().split()[0]) - 1000
    while first > 1024:
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0pcap-tcp-tests-{first}")
        except OSError:
            lock.close()
            first -= 1000
            continue
        while True:  # with the lock, which nobody else refers to
            yield from range(first, first + 1000)
    raise RuntimeError("all ports are taken by other runs of these tests")


PORT_NUMBERS = _port_numbers()


def free_port():
    """Nobody has it on any address, and nobody gets it by chance."""
    for port in PORT_NUMBERS:
        with socket.socket(socket.AF_INET6) as s:
            try:
                s.bind(("::", port))
                return port
            except OSError:
                pass  # also where a connection of before lingers


def is_listening(port):
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
                return True
    return False


def end_group(process):
    """Kills what a process of a session of its own has left, too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(*command, env=OURS, timeout=LIMIT, **kw):
    """Runs a program with our library to its end."""
    command = [str(c) for c in command]
    skip_what_takes_no_library(command[0], env)
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, start_new_session=True, **kw) as process:
        try:
            out, err = process.communicate(timeout=max(timeout, LIMIT))
        finally:
            end_group(process)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def in_namespace(*lines, timeout=LIMIT):
    """Runs shell lines in a network and mount namespace of their own, where
    nothing but lo is up and every port is free; and in a process namespace,
    which ends with the shell, and with it all that the lines have started."""
    need("unshare", "ip", "ss")
    unshare = ["unshare", "-nmp" if os.getuid() == 0 else "-rnmp",
               "--kill-child"]
    if subprocess.run([*unshare, "true"]).returncode != 0:
        pytest.skip("no namespaces may be made here")
    return run(*unshare, "sh", "-ec",
               "\n".join(("PATH=$PATH:/usr/sbin:/sbin", "ip link set lo up") +
                         lines), timeout=timeout)


def let_others_in(folder):
    """An ordinary user may look into a folder of pytest's."""
    for folder in (folder, *folder.parents):
        if not folder.stat().st_mode & 1:
            folder.chmod(0o755)


def same_version():
    """Is the machine's libpcap of the version that we built?"""
    ours = run("tcpdump", "--version").stdout
    return run("tcpdump", "--version", env=SYSTEM).stdout == ours


class Program:
    """A program with our library that runs beside the test."""

    def __init__(self, *command, env=OURS):
        skip_what_takes_no_library(command[0], env)
        self.process = subprocess.Popen(
            [str(c) for c in command], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.lines = []
        self.errors = []
        self.more = threading.Condition()
        self.readers = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines),
                         (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    def _collect(self, stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))
            with self.more:
                self.more.notify()

    def wait_for(self, pattern, count=1, lines=None):
        """The count-th line that the pattern is found in."""
        lines = self.lines if lines is None else lines
        limit = time.monotonic() + LIMIT
        seen = 0
        while True:
            ended = not any(reader.is_alive() for reader in self.readers)
            for seen in range(seen + 1, len(lines) + 1):
                if re.search(pattern, lines[seen - 1]):
                    count -= 1
                    if count == 0:
                        return lines[seen - 1]
            assert not ended, (pattern, lines, self.errors)
            assert time.monotonic() < limit, \
                f"waited {LIMIT} s for {pattern}: {lines}"
            with self.more:
                if len(lines) == seen:
                    self.more.wait(0.1)

    def wait_until_blocked(self):
        """In poll(2), which is where an idle reader is."""
        path = Path(f"/proc/{self.process.pid}/syscall")
        wait_until(lambda: path.read_text().split()[0] in ("7", "232", "281",
                                                           "271", "270"),
                   "the program waits")

    def wait_until_collected(self):
        """All that a program that was stopped has printed is in lines."""
        wait_until(lambda: fcntl.ioctl(
            self.process.stdout, termios.FIONREAD, bytes(4)) == bytes(4),
            "its output is read")

    def command(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Waits for the end; returns the exit status."""
        status = self.process.wait(timeout=LIMIT)
        for reader in self.readers:
            reader.join(LIMIT)
        return status

    def cpu_ticks(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(
            ")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def memory(self, key):
        """VmRSS or VmHWM, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024

    def context_switches(self):
        return sum(int(n) for task in
                   Path(f"/proc/{self.process.pid}/task").glob("*/status")
                   for n in re.findall(r"ctxt_switches:\s+(\d+)",
                                       task.read_text()))

    def wake_ups(self, seconds=1):
        """How often it went on, in so many seconds and between two times
        that it waits. Who never waits fails here."""
        self.wait_until_blocked()
        time.sleep(0.3)  # whatever was on its way is no wake-up of an idle one
        self.wait_until_blocked()
        before = self.context_switches()
        time.sleep(seconds)  # for nothing to happen there is no event
        self.wait_until_blocked()
        return self.context_switches() - before

    def stop(self):
        end_group(self.process)
        self.end()
        for stream in (self.process.stdin, self.process.stdout,
                       self.process.stderr):
            stream.close()


def share_of_a_busy_loop(program, seconds):
    """How much of the CPU time that a busy loop gets beside it a program
    takes: 1 for who spins, however busy the machine is."""
    loop = Program("sh", "-c", "while :; do :; done", env=SYSTEM)
    try:
        before, began = program.cpu_ticks(), loop.cpu_ticks()
        time.sleep(seconds)
        took = program.cpu_ticks() - before
        return took / max(1, loop.cpu_ticks() - began)
    finally:
        loop.stop()


def left_behind():
    """The processes that this run has started and that are still there: what
    they are by their numbers."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and MARK.encode() in (
                    process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_text()
        except OSError:
            pass  # it has ended meanwhile, or is another user's
    return found


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """What is left fails the test, and is ended for the next one's sake."""
    yield
    end = time.monotonic() + LIMIT
    while (left := left_behind()) and time.monotonic() < end:
        time.sleep(0.05)
    for number in left:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert not left


@pytest.fixture
def start():
    """start(command...): a Program that ends with the test."""
    programs = []

    def starter(*command, **kw):
        programs.append(Program(*command, **kw))
        return programs[-1]

    yield starter
    for program in programs:
        program.stop()


class Server:
    """A TCP peer that treats each connection as the next script says.

    A script is a list of steps: bytes to send, or "fin", "rst", "hold" (until
    the server stops), "go" (until go() is called), "arrived" (sets arrived
    when the peer's kernel has it all), or an int n: from here on in segments
    of n bytes. After the last step the connection is closed. After the last
    script the port is closed.
    """

    def __init__(self, *scripts, port=None, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = port or free_port()
        self.listener.bind((address, self.port))
        self.listener.listen()
        host = f"[{address}]" if ":" in address else address
        self.device = f"tcp:{host}:{self.port}"
        self.connections = 0
        self.times = []  # of the connections
        self.players = []
        self.stopped = threading.Event()
        self.gone = threading.Semaphore(0)
        self.arrived = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(scripts,),
                                       daemon=True)
        self.thread.start()

    def _serve(self, scripts):
        for script in scripts:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            self.times.append(time.monotonic())
            self.connections += 1
            player = threading.Thread(target=self._play_and_close,
                                      args=(conn, script), daemon=True)
            self.players.append(player)
            player.start()
        self.listener.close()

    def _play_and_close(self, conn, script):
        with conn:
            try:
                self._play(conn, script)
            except OSError:
                pass  # the reader may leave when it likes

    def _play(self, conn, script):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        segment = None
        for step in script:
            if isinstance(step, int):
                segment = step
            elif step == "hold":
                self.stopped.wait(LIMIT)
            elif step == "go":
                self.gone.acquire(timeout=LIMIT)
            elif step == "arrived":
                self.wait_until_arrived(conn)
                self.arrived.set()
            elif step == "fin":
                conn.shutdown(socket.SHUT_WR)
            elif step == "rst":
                self.reset_at_close(conn)
            else:
                for at in range(0, len(step), segment or len(step) or 1):
                    conn.sendall(step[at:at + (segment or len(step))])

    @staticmethod
    def wait_until_arrived(conn):
        wait_until(lambda: fcntl.ioctl(conn, SIOCOUTQ, bytes(4)) == bytes(4),
                   "the peer has all that was sent")

    @staticmethod
    def reset_at_close(conn):
        Server.wait_until_arrived(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))

    def go(self):
        self.gone.release()

    def stop(self):
        self.stopped.set()
        self.gone.release(1000000)  # more than a script has
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for thread in [self.thread] + self.players:
            thread.join(LIMIT)


@pytest.fixture
def serve():
    """serve(script, ...): a Server that ends with the test."""
    servers = []

    def server(*scripts, **kw):
        servers.append(Server(*scripts, **kw))
        return servers[-1]

    yield server
    for s in servers:
        s.stop()


@pytest.fixture
def listen(start):
    """listen(command..., PORT): a program that listens on PORT, started."""
    def listener(*command):
        port = free_port()
        program = start(*[c.replace("PORT", str(port)) for c in command],
                        env=SYSTEM)
        wait_until(lambda: is_listening(port), f"{command[0]} listens")
        program.port = port
        program.device = f"tcp:127.0.0.1:{port}"
        return program

    return listener


@pytest.fixture
def read_file(tmp_path):
    """read_file(bytes, options...): what the system's tcpdump makes of it."""
    def reader(data, *options):
        path = tmp_path / "expected.pcap"
        path.write_bytes(data)
        result = run("tcpdump", "-tt", "-n", "-e", "-xx", "-r", path, *options,
                     env=SYSTEM)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return reader


def read_device(device, *options):
    """What tcpdump prints of a device, to its end."""
    result = run("tcpdump", "-tt", "-n", "-e", "-xx", "-i", device, *options)
    assert result.returncode == 0, result.stderr
    # At the end of a live capture tcpdump prints an empty line.
    assert result.stdout.endswith("\n")
    return result.stdout[:-1]


def refused(device, *options, timeout=LIMIT):
    """tcpdump on a device that can't be opened: the one line it prints."""
    result = run("tcpdump", "-n", *options, "-i", device, timeout=timeout)
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def cause(device):
    """The same without the program's name."""
    program, said = refused(device).split(": ", 1)
    assert program == "tcpdump"
    return said


def stats(lines):
    line = [li for li in lines if li.startswith("STATS")][-1]
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}


def end_by(program, number=signal.SIGINT):
    """Ends a program as a person would; returns its exit status."""
    program.signal(number)
    return program.end()
