"""Thousands of streams, whole, mutated and cut, read both ways: as files by
the system's libpcap (by ours if that is of another version), as a device by
ours, in random segments. Link type, packets, time stamps, lengths and verdict
have to agree.

Where the device does better on purpose, for_the_file_reader() and explained()
say why; nothing else may differ. PCAP_TCP_STREAMS in the environment makes it
more than 3000.
"""

import os
import random
import socket
import struct
import threading

import pytest

from conftest import LIMIT, OURS, READER, SAMPLE, SYSTEM, run, same_version
from pcapfile import (KUZNETZOV, NSEC, USEC, block, epb, header, idb, isb,
                      packets, pb, record, shb, spb)

STREAMS = int(os.environ.get("PCAP_TCP_STREAMS", 3000))
LINKTYPES = [0, 1, 1, 1, 101, 105, 113, 147, 189, 220, 231, 239, 276]


def random_data(rng, limit=300):
    return rng.randbytes(rng.choice([0, 1, 14, 60, rng.randrange(limit)]))


def random_pcap(rng):
    order = rng.choice("<>")
    magic = rng.choice([USEC, USEC, NSEC, KUZNETZOV])
    version = rng.choice([(2, 4)] * 4 + [(2, 3), (2, 2), (2, 0), (543, 0)])
    linktype = rng.choice(LINKTYPES) | rng.choice([0, 0, 0, 0x24000000])
    out = header(magic, order, version, rng.choice([0, 40, 96, 65535, 262144]),
                 linktype)
    swapped = (2, 2) if version == (543, 0) else version
    for _ in range(rng.randrange(12)):
        data = random_data(rng)
        out += record(rng.randrange(1 << 31), rng.randrange(1000000), data,
                      len(data) + rng.choice([0, 0, 5]), magic, order, swapped)
    return out


def random_interface(rng, order, linktype, snaplen):
    options = []
    if rng.random() < 0.5:
        options.append((9, bytes([rng.choice([3, 6, 6, 9, 9, 12, 19, 0x80,
                                              0x8A, 0xA0])])))
    if rng.random() < 0.2:
        options.append((14, struct.pack(order + "q",
                                        rng.randrange(-1000, 1000))))
    if rng.random() < 0.3:
        options.append((2, rng.randbytes(rng.randrange(9))))
    return idb(linktype, snaplen, *options, order=order)


def random_pcapng(rng):
    order = rng.choice("<>")
    linktype = rng.choice([lt for lt in LINKTYPES if lt != 101])
    snaplen = rng.choice([0, 65535, 262144])
    out = shb(order, rng.choice([(1, 0), (1, 2)]))
    interfaces = 0
    for _ in range(rng.randrange(2, 14)):
        kind = rng.choice("iieeeeeeespxxS") if interfaces else "i"
        data = random_data(rng)
        which = rng.randrange(interfaces) if interfaces else 0
        time = rng.randrange(1 << rng.choice([31, 51, 63]))
        if kind == "i":
            out += random_interface(rng, order, linktype, snaplen)
            interfaces += 1
        elif kind == "e":
            out += epb(which, time, data, order=order)
        elif kind == "p":
            out += pb(which, time, data, order=order)
        elif kind == "s":
            out += spb(data, order=order)
        elif kind == "x":
            out += block(rng.choice([4, 0xBAD, 0x80000001]), data, order)
        elif kind == "S":
            out += isb(which, (5, rng.randbytes(8)), order=order)
    return out


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 4])):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at] = rng.choice([0, 1, 0x7F, 0xFF])
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)):]
    return bytes(data)


def make_streams():
    rng = random.Random(57012)
    return [mutate(rng, random_pcapng(rng) if n % 2 else random_pcap(rng))
            for n in range(STREAMS)]


def results(output):
    """What the reader says of each stream, a list of lines for each."""
    return [part.strip().splitlines()
            for part in output.split("STREAM\n")[1:]]


def from_files(streams, folder, options):
    found = []
    env = SYSTEM if same_version() else OURS
    for first in range(0, len(streams), 1000):
        names = []
        for n, data in enumerate(streams[first:first + 1000]):
            path = folder / str(n)
            path.write_bytes(data)
            names.append(path)
        result = run(READER, "-p", "-r", *options, *names, env=env)
        assert result.returncode == 0, result.stderr
        found += results(result.stdout)
    return found


def from_device(streams, options, env=OURS):
    listener = socket.create_server(("127.0.0.1", 0))
    rng = random.Random(1)

    def serve():
        for data in streams:
            conn = listener.accept()[0]
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            at = 0
            try:
                while at < len(data):
                    size = rng.choice([1, 3, 16, 24, 100, 1000])
                    conn.sendall(data[at:at + size])
                    at += size
            except (BrokenPipeError, ConnectionResetError):
                pass
            conn.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    result = run(READER, "-p", "-B", len(streams), *options,
                 f"tcp:127.0.0.1:{port}", timeout=600, env=env)
    assert result.returncode == 0, result.stderr
    thread.join(LIMIT)
    listener.close()
    return results(result.stdout)


def same_time(ours, theirs):
    """sf-pcap.c of libpcap 1.10 takes seconds and fractions for signed, but
    only where it did not swap them."""
    def parts(text):
        sec, fraction = text.split(".")
        return int(sec) % (1 << 32), int(fraction)
    (s1, f1), (s2, f2) = parts(ours), parts(theirs)
    return s1 == s2 and (f1 == f2 or f1 >= 1 << 31 or f2 >= 1 << 31)


def same(ours, theirs, pcapng=False):
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs):
        if a[0] == b[0] == "P":
            a, b = a.split(), b.split()
            if a[2:] != b[2:] or not same_time(a[1], b[1]):
                return False
        # if_fcslen is in our ext, and sf-pcapng.c ignores it.
        elif a != b and not (pcapng and a.split()[:2] == b.split()[:2]):
            return False
    return True


def order_of(data):
    return "<" if data[8:12] == b"\x4d\x3c\x2b\x1a" else ">"


def interfaces(data):
    """Where the body of each IDB is and how long, as far as a pcapng stream
    parses. Lengths that were not rounded are, in data."""
    order, found, at = order_of(data), [], 0
    while data[:4] == b"\x0a\x0d\x0d\x0a" and at + 12 <= len(data):
        kind, length = struct.unpack_from(order + "II", data, at)
        rounded = (length + 3) // 4 * 4
        end = at + rounded - 4
        if length < 12 or end + 4 > len(data):
            break
        trailer, = struct.unpack_from(order + "I", data, end)
        if (trailer + 3) // 4 * 4 == rounded:
            struct.pack_into(order + "I", data, at + 4, rounded)
            struct.pack_into(order + "I", data, end, rounded)
        if kind == 1 and rounded >= 20:
            found.append((at + 8, rounded - 12))
        at += rounded
    return found


def sober_options(data, at, end):
    """An end has no length, and what the device ignores has another code."""
    order, seen = order_of(data), set()
    while at + 4 <= end:
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0:
            struct.pack_into(order + "H", data, at + 2, 0)
            break
        if at + 4 + (length + 3) // 4 * 4 > end:
            break
        if code in (9, 14):
            if code in seen or length != {9: 1, 14: 8}[code]:
                struct.pack_into(order + "H", data, at, 2988)
            else:
                seen.add(code)
        at += 4 + (length + 3) // 4 * 4


def for_the_file_reader(data):
    """The same stream without what harms no packet, but ends the file reader:
    promises about the packets' lengths, block lengths that were not rounded,
    odd options. sf-pcap.c also cuts packets to what was promised."""
    data = bytearray(data)
    if data[:4] != b"\x0a\x0d\x0d\x0a":
        data[16:20] = bytes(len(data[16:20]))
    for at, length in interfaces(data):
        data[at + 4:at + 8] = bytes(4)
        sober_options(data, at + 8, at + length)
    return bytes(data)


def explained(data, ours, theirs):
    """May the device go on where the file reader ends? That refuses an
    interface of another link type, which the device does not before a packet
    comes of it."""
    linktypes = {bytes(data[at:at + 2]) for at, _ in interfaces(bytearray(data))}
    return len(linktypes) > 1 and theirs[-1] == "END -1" and \
        same(ours[:len(theirs) - 1], theirs[:-1], True)


@pytest.mark.parametrize("options", [[], ["-n"]], ids=["micro", "nano"])
def test_device_and_file_agree(tmp_path, options):
    streams = make_streams()
    theirs = from_files([for_the_file_reader(s) for s in streams], tmp_path,
                        options)
    ours = from_device(streams, options)
    assert len(ours) == len(theirs) == STREAMS
    differ = [(n, streams[n].hex(), a, b)
              for n, (a, b) in enumerate(zip(ours, theirs))
              if not same(a, b, n % 2 == 1) and
              not explained(streams[n], a, b)]
    assert not differ, (len(differ), differ[0])
    # Were all streams refused, all would agree.
    whole = sum("END 0" in r for r in ours)
    broken = sum("END -1" in r for r in ours)
    refused = sum("OPEN -1" in r for r in ours)
    assert min(whole, broken, refused) > STREAMS // 20
    assert sum(len(r) for r in ours) > 3 * STREAMS


# Filters


FILTERS = """ip|ip6|arp|tcp|udp|icmp|icmp6|not ip|ip or ip6|tcp or udp
port 53|port 80|port 443|tcp port 443|udp port 53|src port 53|dst port 80
portrange 50-100|not port 53|tcp port 80 or tcp port 443
host 192.0.2.1|host 2001:db8::2|src host 192.0.2.2|dst net 192.0.2.0/24
net 2001:db8::/64|not host 192.0.2.1|ip host 192.0.2.1
len > 100|len < 100|greater 200|less 66|len = 75
tcp[tcpflags] & tcp-syn != 0|tcp[13] = 2|tcp[tcpflags] = tcp-ack
ip[8] = 64|ip[6:2] & 0x1fff = 0|ip6[6] = 6|udp[4:2] > 40|ip[2:2] > 60
ip proto 6|ip proto \\udp|ip6 proto 6|proto 17|ip protochain 6
ether host 02:00:00:00:00:01|ether src 02:00:00:00:00:02|ether proto 0x86dd
ether[0] & 1 = 0|ether broadcast|ether multicast|ip broadcast|ip multicast
vlan|vlan 5|mpls|pppoed|stp|iso|link[0] = 2|link[3] = 2
inbound|outbound|not inbound|ifindex 1|ifname eth0|on eth0|rnr 3
wlan type mgt|type data|action pass|reason match|lat|atalk|decnet host 1.2
llc|ipx|netbeui|clns|isis|sctp|pim|igrp|vrrp|ah|esp|carp
tcp and not port 443 and len > 60|(ip and udp) or (ip6 and tcp)
1 = 1|1 = 2|ip and ip6|gateway 192.0.2.1|broadcast|multicast"""
EXPRESSIONS = [e for line in FILTERS.splitlines() for e in line.split("|")]


def framed(linktype, order, data):
    """An Ethernet packet of the sample, with another link-layer header."""
    kind, payload = data[12:14], data[14:]
    family = 2 if kind == b"\x08\0" else 30
    if linktype in (0, 109):
        extra = b"\0" * 8 if linktype == 109 else b""
        return struct.pack(order + "I", family) + extra + payload
    if linktype == 108:
        return struct.pack(">I", family) + payload
    if linktype in (12, 101):
        return payload
    if linktype == 113:
        return b"\0\0\0\1\0\6" + data[6:12] + b"\0\0" + kind + payload
    if linktype == 276:
        return kind + b"\0\0\0\0\0\2\0\1\0\6" + data[6:12] + b"\0\0" + payload
    return data


def test_filters_mean_what_they_mean_on_a_file(tmp_path):
    """The code generator takes a stream for a local interface if it is let:
    inbound then matches nothing, and so does ip on a DLT_NULL stream of the
    other byte order."""
    assert len(EXPRESSIONS) >= 60
    cases = []
    for linktype in sorted(set(LINKTYPES) | {12, 108, 109, 117}):
        for order in "<>":
            stream = header(order=order, linktype=linktype) + b"".join(
                record(sec, usec, framed(linktype, order, data), order=order)
                for sec, usec, data in packets(SAMPLE))
            cases += [(stream, e, linktype, order) for e in EXPRESSIONS]
    filters = tmp_path / "filters"
    streams = [case[0] for case in cases]
    theirs = []
    for first in range(0, len(cases), 1000):
        filters.write_text("".join(
            e + "\n" for _, e, _, _ in cases[first:first + 1000]))
        theirs += from_files(streams[first:first + 1000], tmp_path,
                             ["-l", filters])
    filters.write_text("".join(e + "\n" for _, e, _, _ in cases))
    ours = from_device(streams, ["-l", filters])
    # As machine code, and by the interpreter.
    assert ours == from_device(streams, ["-l", filters],
                               dict(OURS, PCAP_TCP_JIT="no"))
    differ = [case[1:] for case, a, b in zip(cases, ours, theirs)
              if not same(a, b)]
    assert not differ, (len(differ), differ[:20])
    # Were nothing matched, or all, there would be nothing to see.
    matched = [sum(line[0] == "P" for line in a) for a in ours]
    assert sum(0 < n < len(packets(SAMPLE)) for n in matched) > len(ours) // 9
    assert sum("FILTER -1" in a for a in ours) > len(ours) // 20
