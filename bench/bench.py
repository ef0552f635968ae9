"""How fast the device is, beside other ways to read the same stream.

    /usr/bin/python3 bench/bench.py BUILD [bench | bench-quick]

Prints tables, for README.md here, and writes BUILD/bench.csv.
"""

import csv
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from machine import head, missing, two_cpus
from parts import Parts
from streams import FILTER, FORTY, HEADER, SYSTEM
from streams import running, sending, write_stream
from targets import BARE, RECV, Targets, is_met, text
from ways import Cost, Glue, Place, all_ways, expected, measure

FILTERS = {"none": [], FILTER: [FILTER], "40 terms": [FORTY]}
# Packets in a run: of fast ways, and of slow ones.
FULL = {"64": (3600000, 240000), "IMIX": (720000, 96000),
        "1500": (192000, 48000), "9000": (36000, 12000)}
QUICK = {"64": (2400000, 120000), "1500": (120000, 24000)}
Row = namedtuple("Row", "rate best cpu least lost")


def say(words):
    print(words, file=sys.stderr, flush=True)


def make_certificate(folder):
    pem = folder / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", pem,
                    "-out", folder / "ca.pem"], check=True,
                   stderr=subprocess.DEVNULL)
    with open(pem, "a") as file:
        file.write((folder / "ca.pem").read_text())
    return folder / "ca.pem"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, build, folder, stack, quick):
        self.build = build
        self.ours = str(build / "lib")
        self.folder = folder
        self.stack = stack          # what has to end with the bench
        self.rounds = 5 if quick else 7
        self.amounts = QUICK if quick else FULL
        self.filters = dict(list(FILTERS.items())[:2]) if quick else FILTERS
        self.before = ["taskset", "-c", str(two_cpus()[0])]
        self.left_out = []
        self.costs = {}             # (size, filter, way): [Cost]
        self.opening = {}           # (filter, way): [Cost], of empty streams
        self.ca = None if missing(["openssl", "socat"]) else \
            make_certificate(folder)

    # Streams

    def place(self, name, size, packets):
        """A stream, its file and its senders."""
        path = self.folder / f"{name}.pcap"
        if packets:
            packets = write_stream(path, size, packets)
        else:
            path.write_bytes(HEADER)
        port = self.stack.enter_context(
            sending(self.build, "file", path, before=self.before))
        tls = None
        if self.ca:
            tls = free_port()
            # nodelay: or the end of an empty stream takes 40 ms more.
            self.stack.enter_context(running(
                *self.before, "socat", "-U", "-b", "65536",
                f"OPENSSL-LISTEN:{tls},bind=127.0.0.1,reuseaddr,fork,nodelay,"
                f"cert={self.ca.parent}/server.pem,verify=0",
                f"OPEN:{path},rdonly", env=SYSTEM))
        return Place(path, packets, port, tls, self.ca)

    def make_places(self):
        self.empty = self.place("empty", "64", 0)
        self.places = {}
        for size, (many, few) in self.amounts.items():
            self.places[size] = (self.place(size, size, many),
                                 self.place(size + "-few", size, few))

    def buffer(self):
        """The best buffer size for recv(), in KiB."""
        place = self.places["64"][0]
        sizes = [64, 128, 256, 512, 1024]
        costs = {kib: [] for kib in sizes}
        for _ in range(self.rounds):
            for kib in sizes:
                costs[kib].append(measure(
                    [[self.build / "bench/reader", "recv", place.port, kib]],
                    self.ours).cpu)
        return min(sizes, key=lambda kib: min(costs[kib]))

    # Rounds

    def prepare(self):
        self.make_places()
        self.kib = self.buffer()
        self.ways = []
        for way in all_ways(self.build, self.kib):
            reason = missing(way.needs)
            if reason:
                self.left_out.append(f"{way.name}: {reason}")
            else:
                self.ways.append(way)
        self.glue = None
        if Glue.obstacle():
            self.left_out.append(f"{Glue.name}: {Glue.obstacle()}")
            return
        self.glue = self.stack.enter_context(Glue(self.build))
        if not self.glue.kind:
            self.left_out.append(f"{Glue.name}: neither a dummy nor a veth "
                                 "interface can be made here")
            self.glue = None

    def cells(self):
        for name, words in self.filters.items():
            for way in self.ways:
                if way.filters or not words:
                    yield name, words, way

    def round(self):
        for name, words, way in self.cells():
            self.opening.setdefault((name, way.name), []).append(
                measure(way.commands(self.empty, words), self.ours))
        for size, places in self.places.items():
            for name, words, way in self.cells():
                self.one(size, name, words, way, places[way.slow])
            if self.glue:
                few = places[1]
                self.costs.setdefault((size, "none", Glue.name), []).append(
                    self.glue.run(few.path, few.packets))

    def one(self, size, name, words, way, place):
        cost = measure(way.commands(place, words), self.ours)
        due = expected(place.packets, words)
        if way.name in BARE or cost.packets is None:
            cost = cost._replace(packets=due)
        if cost.packets != due:
            raise RuntimeError(f"{way.name}, {size}, {name}: {cost.packets} "
                               f"packets instead of {due}")
        self.costs.setdefault((size, name, way.name), []).append(
            cost._replace(sent=place.packets))

    # Results

    def rows(self):
        found = {}
        for (size, name, way), costs in self.costs.items():
            # tcpreplay's reader counts from the first packet on.
            opening = self.opening.get((name, way), [Cost(0, 0, 0)])
            # What came through, for the way that loses packets.
            read = [c.packets if way == Glue.name else c.sent for c in costs]

            def net(least, field):
                return max(least(getattr(c, field) / n
                                 for c, n in zip(costs, read)) -
                           least(getattr(c, field) for c in opening) /
                           max(read), 1e-12)
            lost = sum(c.sent - c.packets for c in costs) / \
                sum(c.sent for c in costs) if way == Glue.name else 0
            found[size, name, way] = Row(
                1e-6 / net(median, "seconds"), 1e-6 / net(min, "seconds"),
                net(median, "cpu") * 1e9, net(min, "cpu") * 1e9, lost)
        return found


def order(key):
    """By size, then filter; ways as they were measured."""
    return list(FULL).index(key[0]), list(FILTERS).index(key[1])


def print_head(bench):
    env = dict(SYSTEM, LD_LIBRARY_PATH=bench.ours)
    for line in head(bench.build, env):
        print(f"- {line}")
    print(f"- medians of {bench.rounds} rounds; recv() into {bench.kib} KiB" +
          (f"; tcpreplay on {bench.glue.kind}" if bench.glue else ""))
    for line in bench.left_out:
        print(f"- left out: {line}")
    print()


def print_rows(rows, targets):
    print("| packet | filter | way | Mpackets/s | best | of recv() "
          "| CPU ns a packet | least | of recv() | lost | targets |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|")
    for key in sorted(rows, key=order):
        row, recv = rows[key], rows[key[0], "none", RECV]
        print(f"| {' | '.join(key)} | {row.rate:.3f} | {row.best:.3f} "
              f"| {row.rate / recv.rate:.2f} | {row.cpu:.1f} "
              f"| {row.least:.1f} | {row.cpu / recv.cpu:.2f} "
              f"| {100 * row.lost:.3g} % | {targets.of(key)} |")
    print()


def print_figures(figures):
    print("| part | | | target |\n|---|---|---|---|")
    for f in figures:
        print(f"| {f.part} | {f.what} | {f.value:.1f} {f.unit} "
              f"| {text(f.target) if f.target else ''} |")
    print()


def write_csv(path, rows, targets, figures):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["part", "packet", "filter", "way", "mpackets_s",
                      "mpackets_s_best", "rate_of_recv", "cpu_ns",
                      "cpu_ns_least", "cpu_of_recv", "lost", "value", "unit",
                      "targets"])
        for key in sorted(rows, key=order):
            row, recv = rows[key], rows[key[0], "none", RECV]
            out.writerow(["throughput", *key, row.rate, row.best,
                          row.rate / recv.rate, row.cpu, row.least,
                          row.cpu / recv.cpu, row.lost, "", "",
                          targets.of(key)])
        for f in figures:
            out.writerow([f.part, "", "", f.what] + [""] * 7 +
                         [f.value, f.unit, text(f.target) if f.target else ""])


def summary(targets, figures):
    found = targets.found + [f.target for f in figures if f.target]
    met = sum(map(is_met, found))
    return f"{met} of {len(found)} targets met"


def run(build, quick, folder, stack):
    began = time.monotonic()
    bench = Bench(build, folder, stack, quick)
    say("making the streams")
    bench.prepare()
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}, "
            f"{time.monotonic() - began:.0f} s")
        bench.round()
    rows = bench.rows()
    targets = Targets(rows)
    print_head(bench)
    print_rows(rows, targets)
    figures = []
    if not quick:
        say(f"latency, scale, idle, {time.monotonic() - began:.0f} s")
        figures = list(Parts(build, bench.ours, folder, bench.rounds,
                             1920000, bench.glue).all())
        print_figures(figures)
    write_csv(build / "bench.csv", rows, targets, figures)
    print(f"{summary(targets, figures)}; {time.monotonic() - began:.0f} s")


def main():
    # Ended from outside, it ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="pcap-tcp-bench-") as folder, \
            ExitStack() as stack:
        try:
            run(Path(sys.argv[1]).resolve(), "bench-quick" in sys.argv,
                Path(folder), stack)
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
