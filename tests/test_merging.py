"""Sources that send all the time, with clocks that are right or wrong.

Nothing here is about how long something takes: a record that is held back until
others have sent so much would not come at all, as these go on.
"""

import signal
import socket
import struct
import threading
import time

import pytest

from conftest import LIMIT, READER, free_port, wait_until
from pcapfile import header, record

HOUR = 3600
FRAME = b"\2" * 12 + b"\x08\0" + b"\0" * 46
NOISE = b"\2" * 12 + b"\x08\6" + b"\0" * 46   # for who leaves ARP out


class Sender:
    """Serves one stream: records at such a pace, until it is stopped or has
    sent so many; the clock makes a record's time of the right one."""

    def __init__(self, pace, clock=lambda now: now, count=None, frame=FRAME,
                 burst=1):
        self.pace, self.clock, self.count = pace, clock, count
        self.frame, self.burst = frame, burst
        self.sent = 0
        self.stopped = threading.Event()
        self.connected = threading.Event()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", free_port()))
        self.listener.listen()
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _records(self):
        at = self.clock(time.time())
        sec = int(at // 1)
        return record(sec, int((at - sec) * 1e6), self.frame) * self.burst

    def _serve(self):
        try:
            conn = self.listener.accept()[0]
            with conn:
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conn.sendall(header())
                self.connected.set()
                while not self.stopped.is_set() and self.sent != self.count:
                    conn.sendall(self._records())
                    self.sent += self.burst
                    if self.pace:
                        self.stopped.wait(self.pace)
                self.stopped.wait(LIMIT)
        except OSError:
            pass  # the reader has left

    def stop(self):
        self.stopped.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(LIMIT)


@pytest.fixture
def sender():
    senders = []

    def make(*words, **kw):
        senders.append(Sender(*words, **kw))
        return senders[-1]

    yield make
    for s in senders:
        s.stop()


def device_of(senders):
    return "tcp:" + "+".join(s.address for s in senders)


def times(reader):
    return [float(li.split()[1]) for li in list(reader.lines)
            if li.startswith("P ")]


def ahead(seconds):
    return lambda now: now + seconds


def those(found, seconds):
    """Of them that are ahead by so much, give or take half an hour."""
    return [t for t in found if abs(t - time.time() - seconds) < HOUR / 2]


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_clock_that_is_wrong_loses_nothing(sender, start, mode, seconds):
    """Nor does it wait until the others have sent a thousand."""
    others = [sender(0.02), sender(0.02)]
    wrong = sender(0.02, ahead(seconds), count=20)
    reader = start(READER, "-p", "-m", mode, "-t", "100",
                   device_of([*others, wrong]))
    wait_until(lambda: len(those(times(reader), seconds)) == 20,
               "all of that one are here")
    found = times(reader)
    assert len(those(found, 0)) < 1000
    assert those(found, seconds) == sorted(those(found, seconds))


def test_the_others_are_in_order_beside_it(sender, start):
    """Unless the test is held up; then it tries again."""
    def is_in_order():
        others = [sender(0.01, count=100), sender(0.013, count=100)]
        reader = start(READER, "-p", "-m", "next", "-t", "100",
                       device_of([*others, sender(0.005, ahead(HOUR))]))
        wait_until(lambda: len(those(times(reader), 0)) == 200, "all came")
        reader.stop()
        found = those(times(reader), 0)
        # The first ones: one source was there before the other.
        return found[20:] == sorted(found[20:])

    wait_until(is_in_order, "nobody was late")


def test_a_fast_one_is_not_slowed_down_by_its_clock(sender, start):
    """8 MB, from an hour ahead. With a buffer a hold it would take the others'
    time for a thousand records and more."""
    others = [sender(0.04) for _ in range(4)]
    fast = sender(0, ahead(HOUR), count=100000, burst=200)
    reader = start(READER, "-p", "-m", "loop", "-t", "100",
                   device_of([*others, fast]))
    wait_until(lambda: len(those(times(reader), HOUR)) == 100000,
               "all of that one are here")
    assert len(those(times(reader), 0)) < 800


@pytest.mark.parametrize("clock", [
    lambda now: 0, lambda now: now / 2, lambda now: 1e9 + now / 1000,
    lambda now: now % 7 * 6e8], ids=["still", "half", "creeping", "anyhow"])
def test_beside_one_that_never_stops(sender, start, clock):
    """It goes at full speed, and what it sends the program leaves out."""
    noise = sender(0, clock, frame=NOISE, burst=500)
    others = [sender(0.002, count=400) for _ in range(2)]
    reader = start(READER, "-p", "-m", "loop", "-t", "100", "-f", "not arp",
                   device_of([*others, noise]))
    wait_until(lambda: len(times(reader)) == 800, "all of the others came")


def test_a_stopped_reader_has_the_rest_in_order(sender, start):
    """What came meanwhile is a backlog, no clock that is wrong."""
    def is_in_order():
        both = [sender(0.005), sender(0.005)]
        reader = start(READER, "-p", "-m", "next", "-t", "100",
                       device_of(both))
        wait_until(lambda: len(times(reader)) > 50, "it runs")
        reader.signal(signal.SIGSTOP)
        before = len(times(reader))
        sent = sum(s.sent for s in both)
        wait_until(lambda: sum(s.sent for s in both) > sent + 200, "more came")
        reader.signal(signal.SIGCONT)
        wait_until(lambda: len(times(reader)) > before + 400, "it goes on")
        reader.stop()
        found = times(reader)[20:]
        return found == sorted(found)

    wait_until(is_in_order, "nobody was late")


def test_strangers_that_come_and_go(start):
    """With a record that is an hour old each, as fast as they can."""
    port = free_port()
    reader = start(READER, "-p", "-m", "epoll", "-t", "100",
                   f"tcp-listen:127.0.0.1:{port}")
    stopped = threading.Event()
    strangers = [0]

    def connect():
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                time.sleep(0.01)

    def come_and_go():
        while not stopped.is_set():
            with connect() as conn:
                conn.sendall(header() + record(int(time.time()) - HOUR, 0,
                                               FRAME))
            strangers[0] += 1
            time.sleep(0.005)

    legitimate = connect()
    legitimate.sendall(header())
    thread = threading.Thread(target=come_and_go, daemon=True)
    thread.start()
    try:
        wait_until(lambda: strangers[0] > 20, "they come")
        for _ in range(500):
            legitimate.sendall(record(int(time.time()), 0, FRAME))
            time.sleep(0.002)
        wait_until(lambda: len(those(times(reader), 0)) == 500,
                   "all of the legitimate sender's came")
    finally:
        stopped.set()
        thread.join(LIMIT)
        legitimate.close()


@pytest.mark.parametrize("slow", [0, 300])
def test_sixty_four_that_never_stop_are_in_order(sender, start, slow):
    """Their records come in turn, in runs of three; the reader is as fast as
    it can, or slower than the hold."""
    count, step = 40 if slow else 3000, struct.Struct("<IIII")
    senders = []
    for i in range(64):
        senders.append(sender(0, count=1))
        data = b"".join(
            step.pack(1700000000, (k // 3 * 64 + i) * 3 + k % 3, 60, 60) +
            FRAME for k in range(count))
        senders[-1]._records = lambda data=data: data
    reader = start(READER, "-p", "-m", "next", "-z", str(slow), "-c",
                   str(64 * count), device_of(senders))
    assert reader.end() == 0
    found = times(reader)
    assert len(found) == 64 * count
    assert found == sorted(found)
