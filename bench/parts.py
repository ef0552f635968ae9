"""The parts of the bench that are not a row of packets a second."""

import os
import re
import subprocess
import time
from collections import namedtuple
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from machine import missing, two_cpus
from streams import HEADER, LINKS, running, sending, write_stream
from targets import Target
from ways import measure, run_pipeline, start

Figure = namedtuple("Figure", "part what value unit target",
                    defaults=[None])


class Parts:
    """Each part yields figures."""

    def __init__(self, build, ours, folder, rounds, packets, glue):
        self.build = build
        self.reader = build / "bench/reader"
        self.ours = ours
        self.folder = folder
        self.rounds = rounds
        self.packets = packets      # of 64 bytes, for the sources together
        self.glue = glue            # None: cannot be had here
        self.before = ["taskset", "-c", str(two_cpus()[0])]

    def _sending(self, *words):
        return sending(self.build, *words, before=self.before)

    def all(self):
        for part in (self.loss, self.latency, self.scale, self.fanout,
                     self.workers, self.links, self.memory, self.handles,
                     self.idle):
            yield from part()

    def loss(self):
        """What a program misses that takes 2 µs a packet, slower than
        tcpreplay; the device makes the sender wait."""
        stream = self.folder / "loss.pcap"
        sent = write_stream(stream, "64", 240000)
        lost = {"device": 0, "nc \\| tcpreplay": 0}
        for _ in range(self.rounds):
            with self._sending("file", stream) as port:
                lost["device"] += sent - measure(
                    [["OURS", self.reader, "slow", f"tcp:127.0.0.1:{port}"]],
                    self.ours).packets
            if self.glue:
                lost["nc \\| tcpreplay"] += sent - self.glue.run(
                    stream, sent, "interface-slow").packets
        for name, count in lost.items():
            if name == "device" or self.glue:
                yield Figure("loss", f"{name}, 2 µs a packet: lost",
                             100 * count / sent / self.rounds, "%",
                             Target(None, "packets lost", count, "≤", 0)
                             if name == "device" else None)

    def latency(self):
        """From the record's last byte sent to the callback."""
        found = {}
        with self._sending("stamped", "2000", "200") as port:
            ways = {
                "recv()": [[self.reader, "latency-recv", port]],
                "device, pcap_loop": [["OURS", self.reader, "latency-loop",
                                       f"tcp:127.0.0.1:{port}"]],
                "device, epoll + pcap_next_ex": [
                    ["OURS", self.reader, "latency-epoll",
                     f"tcp:127.0.0.1:{port}"]],
                "dumpcap TCP@ \\| pcap_loop": [
                    ["dumpcap", "-q", "-i", f"TCP@127.0.0.1:{port}", "-P",
                     "-w", "-"], [self.reader, "latency-loop", "-"]]}
            if missing(["dumpcap"]):
                ways.popitem()
            for _ in range(self.rounds):
                for name, commands in ways.items():
                    out = run_pipeline(commands, self.ours)[0].splitlines()
                    if not out[0].startswith("2000 "):
                        raise RuntimeError(f"{name}: lost packets: {out}")
                    found.setdefault(name, []).append(
                        [float(x) for x in out[1].split()[:2]])
        base = median(p50 for p50, _ in found["recv()"])
        for name, rounds in found.items():
            p50 = median(pair[0] for pair in rounds)
            target = Target(None, "over recv()'s, µs,", p50 - base, "≤", 10) \
                if name.startswith("device") else None
            yield Figure("latency", f"{name}, median", p50, "µs", target)
            yield Figure("latency", f"{name}, 99 %",
                         median(pair[1] for pair in rounds), "µs")

    @staticmethod
    def _device(port, sources):
        return "tcp:" + "+".join([f"127.0.0.1:{port}"] * sources)

    def _merged(self, sources):
        """Files of so many sources, whose packets come in turn."""
        files = []
        for i in range(sources):
            files.append(self.folder / f"source-{sources}-{i}.pcap")
            total = write_stream(files[-1], "64", self.packets // sources,
                                 first=i, step=sources)
        return files, total * sources

    def scale(self):
        """Sources merged, and what recv() from as many costs, which is the
        kernel's, in the sizes that the device reads; what opening them costs
        is taken off."""
        empty = self.folder / "source-empty.pcap"
        empty.write_bytes(HEADER)
        costs, opening, totals, recv = {}, {}, {}, {}
        for sources in (1, 4, 16, 64):
            files, totals[sources] = self._merged(sources)
            with self._sending("file", *files) as port, \
                    self._sending("file", empty) as nothing:
                for _ in range(self.rounds):
                    for at, into in ((port, costs), (nothing, opening)):
                        into.setdefault(sources, []).append(measure(
                            [["OURS", self.reader, "loop",
                              self._device(at, sources)]], self.ours))
                    recv.setdefault(sources, []).append(measure(
                        [[self.reader, "recv", port,
                          512 if sources == 1 else max(256 // sources, 16),
                          sources]], self.ours).cpu)
            if {c.packets for c in costs[sources]} != {totals[sources]}:
                raise RuntimeError(f"{sources} sources: lost packets")
            for file in files:
                file.unlink()
        yield from self._scale_figures(costs, opening, totals, recv)

    @staticmethod
    def _scale_figures(costs, opening, totals, recv):
        def net(sources, field):
            return (median(getattr(c, field) for c in costs[sources]) -
                    median(getattr(c, field) for c in opening[sources])) / \
                totals[sources]

        for sources in costs:
            ratio = net(1, "seconds") / net(sources, "seconds")
            name = f"{sources} source" + ("s" if sources > 1 else "")
            yield Figure("scale", name, 1e-6 / net(sources, "seconds"),
                         "Mpackets/s", Target(None, "rate of one source's",
                                              ratio, "≥", 0.8)
                         if sources > 1 else None)
            limit = {4: 1.4, 16: 1.7, 64: 2}.get(sources)
            yield Figure("scale", name + ", CPU a packet",
                         net(sources, "cpu") * 1e9, "ns",
                         Target(None, "of one source's",
                                net(sources, "cpu") / net(1, "cpu"), "≤",
                                limit) if limit else None)
            yield Figure("scale", f"recv() from {sources}, CPU a packet",
                         median(recv[sources]) / totals[sources] * 1e9, "ns")

    def fanout(self):
        """What it takes to find out whose packet it is, and what a packet of
        another worker takes beside one that is delivered."""
        stream = self.folder / "flows.pcap"
        sent = write_stream(stream, "64", self.packets, flows=True)
        costs = {}
        ways = {"loop": [self.reader, "loop", None],
                "next_ex": [self.reader, "next_ex", None]}
        if not missing(["tcpdump"]):
            ways["tcpdump -w"] = ["tcpdump", "-i", None, "-w", "/dev/null"]
        with self._sending("file", stream) as port:
            for _ in range(self.rounds):
                costs.setdefault("recv", []).append(measure(
                    [[self.reader, "recv", port, 256]], self.ours))
                for way, words in ways.items():
                    for option in ("", ",fanout=1/1", ",fanout=7/256"):
                        device = f"tcp:127.0.0.1:{port}{option}"
                        costs.setdefault(way + option, []).append(measure(
                            [["OURS", *[word or device for word in words]]],
                            self.ours))
        stream.unlink()
        if {c.packets for c in costs["loop,fanout=1/1"]} != {sent} or \
                costs["loop,fanout=7/256"][0].packets > sent / 100:
            raise RuntimeError("fanout=: not the packets of its flows")
        ns = {name: median(c.cpu for c in found) / sent * 1e9
              for name, found in costs.items()}
        whose = ns["loop,fanout=1/1"] - ns["loop"]
        yield Figure("fan-out", "whose a packet is, CPU", whose, "ns",
                     Target(None, "ns", whose, "≤", 5))
        for way in ways:
            own, other = ns[f"{way},fanout=1/1"], ns[f"{way},fanout=7/256"]
            yield Figure("fan-out", f"{way}, own packet, CPU", own, "ns")
            yield Figure("fan-out", f"{way}, packet of another, CPU", other,
                         "ns", Target(None, "of an own one's", other / own,
                                      "≤", 0.5))
        yield Figure("fan-out", "recv(), CPU", ns["recv"], "ns")
        found = run_pipeline([[self.build / "bench/hash"]], self.ours)[0]
        for kind, cost in zip(("IPv4", "IPv6"), map(float, found.split())):
            yield Figure("fan-out", f"the hash of a flow, {kind}", cost, "ns",
                         Target(None, "ns", cost, "≤", 5))

    def workers(self):
        """Each takes 2 µs a packet, and has a core of its own, which most
        machines have not enough of: they run one after the other here, and
        the one with the most CPU time says how long they take together."""
        stream = self.folder / "flows.pcap"
        sent = write_stream(stream, "64", 240000, flows=True)
        rates = {}
        with self._sending("file", stream) as port:
            for _ in range(self.rounds):
                for n in (1, 2, 4):
                    costs = [measure(
                        [["OURS", self.reader, "slow",
                          f"tcp:127.0.0.1:{port},fanout={k}/{n}"]], self.ours)
                        for k in range(1, n + 1)]
                    if sum(c.packets for c in costs) != sent:
                        raise RuntimeError(f"fanout=K/{n}: not each once")
                    rates.setdefault(n, []).append(
                        sent / max(c.cpu for c in costs) / 1e6)
        stream.unlink()
        for n, found in rates.items():
            rate = median(found)
            yield Figure("fan-out", f"workers of 2 µs a packet: {n}", rate,
                         "Mpackets/s", Target(
                             None, "of one worker's", rate / median(rates[1]),
                             "≥", 0.85 * n) if n > 1 else None)

    def links(self):
        """What becomes Ethernet beside what is it, of the same size."""
        streams = {link: self.folder / f"{link}.pcap" for link in LINKS}
        costs = {link: [] for link in LINKS}
        with ExitStack() as stack:
            for link, stream in streams.items():
                sent = write_stream(stream, "64", self.packets, link=link)
            ports = {link: stack.enter_context(self._sending("file", stream))
                     for link, stream in streams.items()}
            for _ in range(self.rounds):
                for link, port in ports.items():
                    costs[link].append(measure(
                        [["OURS", self.reader, "loop",
                          f"tcp:127.0.0.1:{port},linktype=EN10MB"]],
                        self.ours))
        for link, found in costs.items():
            streams[link].unlink()
            if {c.packets for c in found} != {sent}:
                raise RuntimeError(f"linktype=: not all of {link}")
        ns = {link: median(c.cpu for c in found) / sent * 1e9
              for link, found in costs.items()}
        for link in LINKS:
            more = ns[link] - ns["EN10MB"]
            yield Figure("linktype=EN10MB", f"loop, {link}, CPU", ns[link],
                         "ns", Target(None, "ns more", more, "≤", 6)
                         if link != "EN10MB" else None)

    def memory(self):
        """Of sources that have sent their buffer full, and are silent."""
        stream = self.folder / "idle.pcap"
        packets = write_stream(stream, "64", 12000)
        kib = {}
        with self._sending("hold", stream) as port:
            for sources in (1, 64):
                kib[sources] = int(run_pipeline(
                    [["OURS", self.reader, "idle",
                      self._device(port, sources), packets * sources]],
                    self.ours)[0])
        each = (kib[64] - kib[1]) / 63
        yield Figure("memory", "an idle source more", each, "KiB",
                     Target(None, "KiB", each, "≤", 300))

    def handles(self):
        """Many in one process, each with a connection of its own."""
        stream = self.folder / "few.pcap"
        write_stream(stream, "64", 1)
        with self._sending("hold", stream) as port:
            cost = measure([["OURS", self.reader, "handles",
                             f"tcp:127.0.0.1:{port}", "1000"]], self.ours)
        yield Figure("handles", "1000 in one process, packets of",
                     cost.packets,
                     "handles", Target(None, "handles", cost.packets, "≥",
                                       1000))
        yield Figure("handles", "to open one", cost.seconds * 1e3, "µs")

    def idle(self):
        """A blocking read without a timeout, with nothing to read."""
        stream = self.folder / "few.pcap"
        write_stream(stream, "64", 1)
        with self._sending("hold", stream) as port:
            reader = start(["OURS", self.reader, "loop",
                            f"tcp:127.0.0.1:{port}"], self.ours)
            try:
                time.sleep(0.5)
                before = self._ticks(reader.pid)
                calls = self._calls(reader.pid)
                ticks = self._ticks(reader.pid) - before
            finally:
                reader.kill()
                reader.wait()
        if calls is not None:
            yield Figure("idle", "system calls in 2 s", calls, "",
                         Target(None, "calls", calls, "≤", 0))
        yield Figure("idle", "CPU in 2 s", ticks * 1e3 / os.sysconf(
            "SC_CLK_TCK"), "ms", Target(None, "ms", ticks, "≤", 0))

    @staticmethod
    def _ticks(pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()
        return int(fields[11]) + int(fields[12])

    def _calls(self, pid):
        """System calls that came to their end in two seconds."""
        trace = self.folder / "trace"
        trace.write_text("")
        if missing(["strace"]):
            time.sleep(2)
            return None
        with running("strace", "-f", "-o", trace, "-p", pid,
                     stderr=subprocess.PIPE, text=True) as tracer:
            if "attached" not in tracer.stderr.readline():
                return None
            time.sleep(2)
        return len(re.findall(r"\) += ", trace.read_text()))
