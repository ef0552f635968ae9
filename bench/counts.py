"""What a packet of 64 bytes costs, counted and not timed.

A count is the difference of two runs, with N and with 2N packets, so that
what opening and closing cost is not in it. By itself it prints a table:

    /usr/bin/python3 bench/counts.py BUILD
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from streams import FILTER, FORTY, LINKS, SYSTEM, sending, write_stream

WAYS = ["loop", "next_ex", "select", "epoll"]
NAMES = {FILTER: ", `tcp port 443`", FORTY: ", 40 terms"}


class Counts:
    """Counts of one build. The folder is for what the tools write."""

    def __init__(self, build, folder):
        self.build = Path(build)
        self.folder = Path(folder)
        self.options = ""           # of the device, behind a comma
        self.link = "EN10MB"
        self.env = dict(SYSTEM, LD_LIBRARY_PATH=str(self.build / "lib"))

    def _run(self, tool, stream, way, *arguments):
        """Runs bench/reader under a tool; returns what the tool says."""
        with sending(self.build, "file", stream) as port:
            result = subprocess.run(
                tool + [str(self.build / "bench/reader"), way,
                        f"tcp:127.0.0.1:{port}{self.options}", *arguments],
                env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, timeout=120)
        if result.returncode != 0:
            raise RuntimeError(result.stderr)
        return int(result.stdout.split()[0]), result.stderr

    def _difference(self, count, packets):
        """count(stream) of twice the packets minus that of the packets."""
        stream = self.folder / "stream.pcap"
        found = []
        for n in (packets, 2 * packets):
            written = write_stream(stream, "64", n,
                                   flows="fanout" in self.options,
                                   link=self.link)
            found.append((written, count(stream)))
        (fewer, low), (more, high) = found
        return (high - low) / (more - fewer)

    def instructions(self, way, *arguments, packets=24000):
        tool = ["valgrind", "--tool=callgrind",
                f"--callgrind-out-file={self.folder}/callgrind.out"]

        def count(stream):
            said = self._run(tool, stream, way, *arguments)[1]
            return int(re.search(r"Collected : (\d+)", said)[1])
        return self._difference(count, packets)

    def allocations(self, way, *arguments, packets=24000):
        def count(stream):
            said = self._run(["valgrind"], stream, way, *arguments)[1]
            return int(re.search(r"total heap usage: ([\d,]+) allocs",
                                 said)[1].replace(",", ""))
        return self._difference(count, packets)

    def system_calls(self, way, *arguments, packets=240000):
        trace = self.folder / "strace.out"

        def count(stream):
            self._run(["strace", "-f", "-o", str(trace)], stream, way,
                      *arguments)
            return len(trace.read_text().splitlines())
        return self._difference(count, packets)


def calls(counts, way, arguments):
    # A wake-up a packet takes strace long.
    packets = 24000 if way == "epoll" else 240000
    found = counts.system_calls(way, *arguments, packets=packets)
    return f"{max(found, 0):.3f}"


# Who has all packets, and who has few: the others' are left out.
FANOUT = {",fanout=1/1": "loop, `fanout=1/1`", ",fanout=7/256":
          "loop, a packet of another worker"}
ETHERNET = ",linktype=EN10MB"


def main():
    with tempfile.TemporaryDirectory() as folder:
        counts = Counts(sys.argv[1], folder)
        print("| 64 bytes, a packet | instructions | allocations "
              "| system calls |\n|---|---|---|---|")
        for arguments in ([], [FILTER], [FORTY]):
            for way in WAYS:
                name = way + "".join(NAMES[a] for a in arguments)
                print(f"| {name} | {counts.instructions(way, *arguments):.1f} "
                      f"| {counts.allocations(way, *arguments):g} "
                      f"| {calls(counts, way, arguments)} |",
                      flush=True)
        rows = [(option, "EN10MB", name) for option, name in FANOUT.items()]
        rows += [(ETHERNET, link, f"loop, `linktype=EN10MB` of {link}")
                 for link in LINKS]
        for counts.options, counts.link, name in rows:
            print(f"| {name} | {counts.instructions('loop'):.1f} "
                  f"| {counts.allocations('loop'):g} "
                  f"| {calls(counts, 'loop', [])} |", flush=True)


if __name__ == "__main__":
    main()
