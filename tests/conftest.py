"""What the tests share: the library under test, programs and senders.

Senders are real: netcat, socat and the like where the stream is whole, and a
socket of our own where it is to be cut, reset or held. Ports are free ones.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import fcntl
import pytest

HERE = Path(__file__).parent
BUILD = Path(os.environ["PCAP_TCP_BUILD"])
SAMPLE = HERE / "data" / "sample.pcap"
READER = str(BUILD / "tests" / "reader")
SYSTEM = dict(os.environ, LC_ALL="C")
SIOCOUTQ = 0x5411
LIMIT = 30  # seconds that nothing here may take


# What a shell runs in the background ignores Ctrl-C, and so would programs.
signal.signal(signal.SIGINT, signal.default_int_handler)

ASAN = "-fsanitize=address" in (BUILD / "Makefile").read_text()


def _environment():
    env = dict(SYSTEM, LD_LIBRARY_PATH=str(BUILD / "lib"))
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


def need(*programs):
    """Skips the test, with the reason, where a program is missing."""
    for program in programs:
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            pytest.skip(f"{program} is not installed")


def wait_until(condition, what="it"):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited {LIMIT} s until {what}"
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_listening(port):
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
                return True
    return False


def run(*command, env=OURS, timeout=LIMIT, **kw):
    """Runs a program with our library to its end."""
    return subprocess.run([str(c) for c in command], env=env, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, **kw)


def in_namespace(*lines, timeout=LIMIT):
    """Runs shell lines in a network and mount namespace of their own, where
    nothing but lo is up and every port is free."""
    need("unshare", "ip", "ss")
    flags = "-nm" if os.getuid() == 0 else "-rnm"
    if subprocess.run(["unshare", flags, "true"]).returncode != 0:
        pytest.skip("no namespaces may be made here")
    return run("unshare", flags, "sh", "-ec",
               "\n".join(("ip link set lo up",) + lines), timeout=timeout)


def same_version():
    """Is the machine's libpcap of the version that we built?"""
    ours = run("tcpdump", "--version").stdout
    return run("tcpdump", "--version", env=SYSTEM).stdout == ours


class Program:
    """A program with our library that runs beside the test."""

    def __init__(self, *command, env=OURS):
        self.process = subprocess.Popen(
            [str(c) for c in command], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.errors = []
        self.readers = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines),
                         (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait_for(self, pattern, count=1, lines=None):
        lines = self.lines if lines is None else lines
        wait_until(lambda: sum(bool(re.search(pattern, line))
                               for line in list(lines)) >= count
                   or self.process.poll() is not None,
                   f"{pattern} came: {lines}")
        found = [line for line in list(lines) if re.search(pattern, line)]
        assert len(found) >= count, (lines, self.errors)
        return found[count - 1]

    def wait_until_blocked(self):
        """In poll(2), which is where an idle reader is."""
        path = Path(f"/proc/{self.process.pid}/syscall")
        wait_until(lambda: path.read_text().split()[0] in ("7", "232", "281",
                                                           "271", "270"),
                   "the program waits")

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

    def context_switches(self):
        return sum(int(n) for task in
                   Path(f"/proc/{self.process.pid}/task").glob("*/status")
                   for n in re.findall(r"ctxt_switches:\s+(\d+)",
                                       task.read_text()))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.end()
        for stream in (self.process.stdin, self.process.stdout,
                       self.process.stderr):
            stream.close()


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
    the server stops), "go" (until go() is called), or an int n: from here on
    in segments of n bytes. After the last step the connection is closed.
    After the last script the port is closed.
    """

    def __init__(self, *scripts, port=0, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        host = f"[{address}]" if ":" in address else address
        self.device = f"tcp:{host}:{self.port}"
        self.connections = 0
        self.players = []
        self.stopped = threading.Event()
        self.gone = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._serve, args=(scripts,),
                                       daemon=True)
        self.thread.start()

    def _serve(self, scripts):
        for script in scripts:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
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
            except (BrokenPipeError, ConnectionResetError):
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
            elif step == "fin":
                conn.shutdown(socket.SHUT_WR)
            elif step == "rst":
                self.reset_at_close(conn)
            else:
                for at in range(0, len(step), segment or len(step) or 1):
                    conn.sendall(step[at:at + (segment or len(step))])

    @staticmethod
    def reset_at_close(conn):
        """When all that was sent has arrived."""
        def left():
            return struct.unpack("i", fcntl.ioctl(conn, SIOCOUTQ,
                                                  b"\0\0\0\0"))[0]
        wait_until(lambda: left() == 0, "the peer has it")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))

    def go(self):
        self.gone.release()

    def stop(self):
        self.stopped.set()
        self.gone.release()
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
    """Ends a program as a person would; returns its exit status and how
    many seconds it took."""
    began = time.monotonic()
    program.signal(number)
    return program.end(), time.monotonic() - began
