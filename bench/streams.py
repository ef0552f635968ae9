"""Streams of TCP packets, and the processes that send them."""

import contextlib
import os
import random
import struct
import subprocess

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
SIZES = {"64": [64], "IMIX": [64] * 7 + [594] * 4 + [1518], "1500": [1500],
         "9000": [9000]}
FILTER = "tcp port 443"
FORTY = " or ".join([f"host 192.0.2.{i}" for i in range(1, 40)] + [FILTER])
PERIOD = 1200  # packets, after which sizes and ports repeat
# The number in files, and what an Ethernet packet is as one of these.
LINKS = {
    "EN10MB": (1, bytes), "RAW": (101, lambda p: p[14:]),
    "LINUX_SLL2": (276, lambda p: p[12:14] + b"\0\0\0\0\0\3\0\1\0\6" +
                   p[6:12] + b"\0\0" + p[14:]),
}
SYSTEM = {name: value for name, value in dict(os.environ, LC_ALL="C").items()
          if name != "LD_LIBRARY_PATH"}


def packet(size, port, source=40000):
    ethernet = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0"
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0, 64, 6, 0,
                     b"\xc6\x33\x64\1", b"\xc6\x33\x64\2")
    tcp = struct.pack(">HHIIBBHHH", source, port, 0, 0, 0x50, 0x10, 0, 0, 0)
    return (ethernet + ip + tcp).ljust(size, b"\0")


def period(sizes, flows=False, link="EN10MB"):
    """The records of a period, the times left out, and where each begins.

    Sizes and ports are in no order, as on a network: half of the packets, on
    average, are for port 443. flows: each is of one of its own, not of two.
    Packets of another link are of the same size.
    """
    order = random.Random(1)
    found = sizes * (PERIOD // len(sizes))
    order.shuffle(found)
    block, offsets = bytearray(), []
    ports = order.choices((443, 80), k=PERIOD)
    for i, (size, port) in enumerate(zip(found, ports)):
        offsets.append(len(block))
        data = LINKS[link][1](packet(size, port, 40000 + (i if flows else 0)))
        block += struct.pack("<IIII", 0, 0, size, size) + \
            data[:size].ljust(size, b"\0")
    return block, offsets


def write_stream(path, size, packets, first=0, step=1, flows=False,
                 link="EN10MB"):
    """Writes so many packets, rounded to whole periods, and returns how many.

    Packet i has the time first + i * step in microseconds, for streams that
    are to be merged.
    """
    block, offsets = period(SIZES[size], flows, link)
    periods = max(packets // PERIOD, 1)
    time = first
    with open(path, "wb") as file:
        file.write(HEADER[:20] + struct.pack("<I", LINKS[link][0]))
        for _ in range(periods):
            for at in offsets:
                struct.pack_into("<II", block, at, 1700000000 +
                                 time // 1000000, time % 1000000)
                time += step
            file.write(block)
    return periods * PERIOD


def matching(packets):
    """How many of them are for port 443: ports do not depend on the size."""
    block, offsets = period(SIZES["64"])
    ports = [struct.unpack_from(">H", block, at + 52)[0] for at in offsets]
    return ports.count(443) * (packets // PERIOD)


@contextlib.contextmanager
def running(*words, **kw):
    """A program that ends with the block."""
    process = subprocess.Popen([str(word) for word in words],
                               stdin=subprocess.DEVNULL, **kw)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def sending(build, *words, before=()):
    """bench/sender with these words; yields its port."""
    with running(*before, build / "bench/sender", *words, env=SYSTEM,
                 stdout=subprocess.PIPE, text=True) as process:
        with process.stdout:
            yield int(process.stdout.readline())
