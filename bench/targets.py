"""What the figures should be, as ratios within one run (issue 6)."""

from collections import namedtuple

from streams import FILTER

RECV = "recv()"
SSL_READ = "SSL_read()"
BARE = {RECV, SSL_READ}     # bytes, of which nobody makes packets
TLS = "device, TLS, pcap_loop"
LOOP = "device, pcap_loop"
NEXT_EX = "device, pcap_next_ex"
SELECT = "device, select + pcap_dispatch"
EPOLL = "device, epoll + pcap_next_ex"
DEVICE = [LOOP, NEXT_EX, SELECT, EPOLL]
NC, DUMPCAP = "nc \\| pcap_loop", "dumpcap TCP@"
FILE = {LOOP: "file, pcap_loop", NEXT_EX: "file, pcap_next_ex"}

# row: the key of the row that it is about. value is to be at least, or at
# most, the limit.
Target = namedtuple("Target", "row what value sign limit")


def is_met(target):
    return target.value >= target.limit if target.sign == "≥" else \
        target.value <= target.limit


def text(target):
    return f"{target.what} {target.sign} {target.limit:g}: " + \
        ("met" if is_met(target) else f"**not met ({target.value:.2f})**")


class Targets:
    """rows: {(size, filter, way): Row}"""

    def __init__(self, rows):
        self.rows = rows
        self.found = []
        for key in rows:
            self._of_recv(key)
            self._of_others(key)

    def _add(self, key, other, what, sign, limit):
        """A ratio to another row, if that was measured."""
        if other in self.rows:
            one, two = self.rows[key], self.rows[other]
            value = one.rate / two.rate if what.startswith("rate") else \
                one.cpu / two.cpu
            self.found.append(Target(key, what, value, sign, limit))

    def _of_recv(self, key):
        size, filt, way = key
        recv = (size, "none", RECV)
        rate = cpu = None
        if size == "64" and filt == "none":
            rate = {LOOP: 0.95, NEXT_EX: 0.85, SELECT: 0.8,
                    EPOLL: 0.8}.get(way)
            cpu = {LOOP: 1.3, NEXT_EX: 1.55, EPOLL: 3}.get(way)
        elif size == "64" and filt == FILTER and way == LOOP:
            rate, cpu = 0.85, 2.2
        elif way in DEVICE and (size == "1500" and filt != "40 terms" or
                                size == "IMIX" and filt == "none"):
            rate = 0.97
        if rate:
            self._add(key, recv, "rate of recv()'s", "≥", rate)
        if cpu:
            self._add(key, recv, "CPU of recv()'s", "≤", cpu)

    def _of_others(self, key):
        size, filt, way = key
        if way in FILE:
            other = (size, filt, FILE[way])
            self._add(key, other, "rate of the file's", "≥", 1)
            self._add(key, other, "CPU of the file's", "≤",
                      0.4 if size == "64" else 1)
        if way == TLS:
            other = (size, filt, SSL_READ)
            self._add(key, other, "rate of SSL_read()'s", "≥", 0.9)
            self._add(key, other, "CPU of SSL_read()'s", "≤", 1.15)
        if way == LOOP and size == "64" and filt != "none":
            self._add(key, (size, "none", LOOP), "CPU of no filter's", "≤",
                      1.3 if filt == FILTER else 2.5)
        if way == LOOP and size == "64":
            self._add(key, (size, filt, NC), "rate of nc's", "≥", 2)
            self._add(key, (size, filt, DUMPCAP), "rate of dumpcap's", "≥",
                      50)

    def of(self, key):
        return "; ".join(text(t) for t in self.found if t.row == key)
