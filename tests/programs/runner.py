"""A program under test, as a person would run it, and the sender that it
reads: started, watched, measured and ended."""

import fcntl
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

SIOCOUTQ = 0x5411
NOBODY = 65534
CHUNK = 32768


USUAL = 0.03    # seconds that an idle machine takes for what Pace runs


class Pace:
    """How many times as long as on an idle machine things take beside what
    else this one does: as a program does that starts and ends at once. It is
    asked at each wait, and looks every other second."""

    def __init__(self):
        self.lock, self.then, self.found = threading.Lock(), 0.0, 1.0

    def __call__(self):
        with self.lock:
            began = time.monotonic()
            if began - self.then > 2:
                subprocess.run([sys.executable, "-S", "-c", ""], check=True)
                self.then = time.monotonic()
                self.found = max(1.0, (self.then - began) / USUAL)
            return self.found


pace = Pace()


def wait(condition, seconds):
    """On a busy machine for longer, but not for ever: some wait in vain."""
    end = time.monotonic() + seconds * min(pace(), 5)
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Sender:
    """Sends data on each connection and keeps it, or closes it at once; with
    no data, it takes the connection and is silent. stop() and start() again
    on the same port are a restart."""

    def __init__(self, data, close=False):
        self.data, self.close, self.port = data, close, 0
        self.accepted = 0
        self.start()

    def start(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.connections, self.sent = [], []
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                conn = listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            self.connections.append(conn)
            threading.Thread(target=self._send, args=(conn,),
                             daemon=True).start()

    def _send(self, conn):
        try:
            port = conn.getpeername()[1]
            for at in range(0, len(self.data), CHUNK):
                conn.sendall(self.data[at:at + CHUNK])
                # No faster than the program reads: what closes the window
                # of a connection may rest for seconds before TCP tries again.
                wait(lambda: self._unread().get(port, 0) < CHUNK, 30)
        except OSError:
            return
        self.sent.append((conn, port))
        if self.close:
            conn.close()

    def _unread(self):
        """Bytes that wait at the program's ends, by their ports."""
        found = {}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[2].split(":")[1], 16) == self.port:
                found[int(fields[1].split(":")[1], 16)] = \
                    int(fields[4].split(":")[1], 16)
        return found

    def consumed(self):
        """Was all of it read, on at least one connection? Some programs
        try the device first."""
        unread = self._unread()
        for conn, port in list(self.sent):
            try:
                left = struct.unpack("i", fcntl.ioctl(conn, SIOCOUTQ,
                                                      b"\0" * 4))[0]
            except (OSError, ValueError):  # closed here, with all sent
                left = 0
            if left + unread.get(port, 0) == 0:
                return True
        return False

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in self.connections:
            conn.close()


def refused_port():
    """A port that nothing listens on; the socket keeps it that way."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


class Run:
    """One run of a program in a folder and a session of its own."""

    def __init__(self, command, env, as_root=False, terminal=False,
                 files=(), setup=None):
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=env["TOP"]))
        self.env = dict(env, HOME=str(self.folder))
        for path in files:
            shutil.copy(path, self.folder)
        self.output = b""
        command = command.replace("DIR", str(self.folder))
        if setup:
            subprocess.run(["sh", "-c", setup.replace(
                "DIR", str(self.folder))], cwd=self.folder, check=True,
                stdout=subprocess.DEVNULL)
        self.prefix = []
        if os.getuid() == 0 and not as_root:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
            self.prefix = ["setpriv", f"--reuid={NOBODY}",
                           f"--regid={NOBODY}", "--clear-groups",
                           "--bounding-set=-all", "--inh-caps=-all"]
        elif os.getuid() != 0 and as_root:
            self.prefix = ["sudo", "-E", "env",
                           *(f"{k}={v}" for k, v in self.env.items()
                             if k.startswith("LD_"))]
        self.began = time.monotonic()
        self._spawn(["sh", "-c", "exec " + command], terminal)

    def _spawn(self, words, terminal):
        if terminal:
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ,
                        struct.pack("HHHH", 50, 160, 0, 0))
            ends = dict(stdin=slave, stdout=slave, stderr=slave)
        else:
            master, slave = os.pipe()
            ends = dict(stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)

        def own_session():
            os.setsid()
            if terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            self.prefix + words, cwd=self.folder, env=self.env,
            preexec_fn=own_session, **ends)
        os.close(slave)
        self.reader = threading.Thread(target=self._read, args=(master,),
                                       daemon=True)
        self.reader.start()

    def _read(self, fd):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:  # a terminal's other end is gone
                break
            if not data:
                break
            # Who floods is found out by the first megabytes.
            if len(self.output) < 4 << 20:
                self.output += data
        os.close(fd)

    def text(self):
        return self.output.decode("utf-8", "replace")

    def processes(self):
        """The live processes of the session."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found

    def _busy(self):
        total = 0
        for pid in self.processes():
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(path.read_text().split()[0])
                except OSError:
                    pass
        return total

    def cpu(self, seconds=1.0):
        """How much of one processor all of it takes, in per cent."""
        busy, began = self._busy(), time.monotonic()
        time.sleep(seconds)
        return max(0.0, (self._busy() - busy) / 1e7 /
                   (time.monotonic() - began))

    def alive(self):
        return self.process.poll() is None

    def loads_libpcap(self):
        for pid in self.processes():
            try:
                if "libpcap.so" in Path(f"/proc/{pid}/maps").read_text():
                    return True
            except OSError:
                pass
        return False

    def packet_sockets(self):
        """Does it capture from the kernel?"""
        inodes = {line.split()[-1] for line in
                  Path("/proc/net/packet").read_text().splitlines()[1:]}
        for pid in self.processes():
            for fd in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    link = os.readlink(fd)
                except OSError:
                    continue
                if link.startswith("socket:[") and link[8:-1] in inodes:
                    return True
        return False

    def _kill(self, number, group):
        try:
            (os.killpg if group else os.kill)(self.process.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:  # sudo's
            subprocess.run(["sudo", "kill", f"-{int(number)}", "--",
                            f"{'-' if group else ''}{self.process.pid}"])

    def end(self, number, patience=8):
        """Seconds that it takes to end by a signal; Ctrl-C is for all of the
        terminal's processes. None: it has to be killed."""
        began = time.monotonic()
        self._kill(number, number == signal.SIGINT)
        gone = wait(lambda: not self.alive() and not self.processes(),
                    patience)
        seconds = time.monotonic() - began
        self.kill()
        return seconds if gone else None

    def kill(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            except PermissionError:
                subprocess.run(["sudo", "kill", "-9", str(pid)])
        self.process.wait()
        self.reader.join(5)
