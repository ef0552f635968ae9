"""The ways to read a stream, and what one run of one costs."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections import namedtuple

from machine import PATH, missing, two_cpus
from streams import SYSTEM, matching, running, sending
from targets import RECV, SSL_READ, TLS

# Packets (None: the program does not say), wall and CPU seconds; for a
# capture on an interface also how many were sent.
Cost = namedtuple("Cost", "packets seconds cpu sent", defaults=[None])

LIMIT = 120  # seconds that nothing here may take


class Way:
    """name: as in the table. commands(place, filter): a pipeline; its words
    may be "OURS", as the first one: with our library."""

    def __init__(self, name, commands, needs=(), filters=False, slow=False,
                 tls=False):
        self.name = name
        self.commands = commands
        self.needs = needs
        self.filters = filters      # does it take one?
        self.slow = slow            # fewer packets are enough
        self.tls = tls


def cpu_of(usage):
    return usage.ru_utime + usage.ru_stime


def end_of(process):
    """Waits for it; returns its CPU seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return cpu_of(usage)


def start(words, ours, **kw):
    env = dict(SYSTEM, PATH=PATH)
    if words[0] == "OURS":
        env, words = dict(env, LD_LIBRARY_PATH=ours), words[1:]
    cpu = two_cpus()[1]
    return subprocess.Popen([str(word) for word in words], env=env,
                            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
                            **kw)


def run_pipeline(commands, ours):
    """Runs it to its end: output, errors, wall seconds, CPU of its parts."""
    with tempfile.TemporaryFile("w+") as out, \
            tempfile.TemporaryFile("w+") as err:
        processes, source = [], subprocess.DEVNULL
        began = time.monotonic()
        try:
            for words in commands:
                last = words is commands[-1]
                processes.append(start(
                    words, ours, stdin=source, stderr=err,
                    stdout=out if last else subprocess.PIPE))
                if source != subprocess.DEVNULL:
                    source.close()
                source = processes[-1].stdout
            # The last one first: the others may outlive it by little.
            cpu = [end_of(process) for process in reversed(processes)]
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                    process.wait()
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        said = err.read()
        if processes[-1].returncode != 0:
            raise RuntimeError(f"{' | '.join(map(str, commands))}: {said}")
        return out.read(), said, seconds, cpu


def measure(commands, ours):
    """One run. bench/reader says itself what it cost, from before it opened
    to the end; of another program it is all of its life."""
    out, said, seconds, cpu = run_pipeline(commands, ours)
    if re.match(r"\d+ [\d.]+ [\d.]+\n", out):
        packets, seconds, own = out.split()[:3]
        return Cost(int(packets), float(seconds), float(own) + sum(cpu[1:]))
    found = re.search(r"(\d+) packets captured|"
                      r"Packets captured: (\d+)", said)
    return Cost(found and int(found[1] or found[2]), seconds, sum(cpu))


class Place:
    """Where a stream is: its file, its port, its TLS port."""

    def __init__(self, path, packets, port, tls=None, ca=None):
        self.path, self.packets, self.port = path, packets, port
        self.tls, self.ca = tls, ca
        self.device = f"tcp:127.0.0.1:{port}"
        self.tls_device = f"tls:127.0.0.1:{tls},ca={ca}"


def all_ways(build, kib):
    """kib: the recv() loop's buffer."""
    reader, ssl_read = build / "bench/reader", build / "bench/ssl-read"

    def ours(way):
        return lambda place, words: [["OURS", reader, way, place.device,
                                      *words]]

    def file(way):
        return lambda place, words: [[reader, way, place.path, *words]]

    def nc(*command):
        return lambda place, words: [["nc", "127.0.0.1", place.port],
                                     [*command, *words]]

    return [
        Way(RECV, lambda p, w: [[reader, "recv", p.port, kib]]),
        Way("recv(), each length", lambda p, w: [
            [reader, "walk", p.port, kib]]),
        Way("device, pcap_loop", ours("loop"), filters=True),
        Way("device, pcap_next_ex", ours("next_ex"), filters=True),
        Way("device, select + pcap_dispatch", ours("select"), filters=True),
        Way("device, epoll + pcap_next_ex", ours("epoll"), filters=True,
            slow=True),
        Way("file, pcap_loop", file("loop"), filters=True),
        Way("file, pcap_next_ex", file("next_ex"), filters=True),
        Way("nc \\| pcap_loop", nc(reader, "loop", "-"), ["nc"],
            filters=True),
        Way("dumpcap TCP@", lambda p, w: [
            ["dumpcap", "-q", "-i", f"TCP@127.0.0.1:{p.port}",
             "-w", "/dev/null"]], ["dumpcap"], slow=True),
        Way("device, tcpdump -w", lambda p, w: [
            ["OURS", "tcpdump", "-i", p.device, "-w", "/dev/null"]],
            ["tcpdump"]),
        Way("nc \\| tcpdump -w", nc("tcpdump", "-r", "-", "-w", "/dev/null"),
            ["nc", "tcpdump"]),
        Way(SSL_READ, lambda p, w: [[ssl_read, p.tls, p.ca]],
            ["openssl", "socat", ssl_read], tls=True),
        Way(TLS, lambda p, w: [
            ["OURS", reader, "loop", p.tls_device]], ["openssl", "socat"],
            tls=True),
        Way("s_client \\| pcap_loop", lambda p, w: [
            ["openssl", "s_client", "-quiet", "-verify_quiet",
             "-verify_return_error", "-CAfile", p.ca,
             "-connect", f"127.0.0.1:{p.tls}"],
            [reader, "loop", "-"]], ["openssl", "socat"], tls=True),
    ]


def expected(packets, words):
    return matching(packets) if words else packets


# The article's glue: netcat, tcpreplay, and a capture on a network interface.


class Glue:
    """A network namespace with an interface in it, as long as the block."""

    name = "nc \\| tcpreplay, pcap_loop"
    needs = ["nc", "tcpreplay", "ip", "unshare", "nsenter"]

    def __init__(self, build):
        self.build = build
        self.kind = None

    @staticmethod
    def obstacle():
        if os.getuid() != 0:
            return "needs root, to make a network namespace"
        return missing(Glue.needs)

    def __enter__(self):
        self.holder = running("unshare", "-n", "sleep", "infinity")
        process = self.holder.__enter__()
        self.inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net"]
        while os.readlink(f"/proc/{process.pid}/ns/net") == \
                os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        # Nothing is to be on the interface but what tcpreplay sends.
        subprocess.run([*self.inside, "sh", "-c", "echo 1 > "
                        "/proc/sys/net/ipv6/conf/default/disable_ipv6"])
        self._ip("link", "set", "lo", "up")
        if self._ip("link", "add", "glue0", "type", "dummy"):
            self.kind, self.read_from = "a dummy interface", "glue0"
        elif self._ip("link", "add", "glue0", "type", "veth", "peer", "name",
                      "glue1"):
            self.kind, self.read_from = "a veth pair", "glue1"
            self._ip("link", "set", "glue1", "mtu", "10000", "up")
        self._ip("link", "set", "glue0", "mtu", "10000", "up")
        return self

    def __exit__(self, *what):
        self.holder.__exit__(*what)

    def _ip(self, *words):
        return subprocess.run(
            [*self.inside, "ip", *words], env=dict(SYSTEM, PATH=PATH),
            stderr=subprocess.DEVNULL).returncode == 0

    def run(self, path, sent, way="interface"):
        """One run of it. The reader is up before the first packet is sent,
        and is ended when all that came through has been read."""
        sender = [*self.inside, "taskset", "-c", str(two_cpus()[0])]
        with sending(self.build, "file", path, before=sender) as port, \
                running(*self.inside, "taskset", "-c", str(two_cpus()[1]),
                        self.build / "bench/reader", way, self.read_from,
                        env=SYSTEM, stdout=subprocess.PIPE,
                        text=True) as reader:
            reader.stdout.readline()
            cpu = run_pipeline([
                [*self.inside, "nc", "127.0.0.1", port],
                [*self.inside, "tcpreplay", "-q", "-i", "glue0", "-t", "-"]],
                "")[3]
            time.sleep(0.3)
            reader.send_signal(signal.SIGINT)
            out = reader.stdout.read()
        packets, seconds, own = out.split()
        return Cost(int(packets), float(seconds), float(own) + sum(cpu), sent)
