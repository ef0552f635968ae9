"""Pcap and pcapng files of every kind, from a list of packets."""

import struct

USEC, NSEC, KUZNETZOV = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34


def header(magic=USEC, order="<", version=(2, 4), snaplen=262144, linktype=1):
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen,
                       linktype)


def record(sec, fraction, data, length=None, magic=USEC, order="<",
           version=(2, 4), caplen=None):
    caplen = len(data) if caplen is None else caplen
    length = len(data) if length is None else length
    if version < (2, 3):
        caplen, length = length, caplen
    extra = b"\1\0\0\0\0\x08\0\0" if magic == KUZNETZOV else b""
    return struct.pack(order + "IIII", sec, fraction, caplen, length) \
        + extra + data


def pcap(packets, magic=USEC, order="<", version=(2, 4), **kw):
    """packets: (seconds, microseconds, data), all of them whole."""
    scale = 1000 if magic == NSEC else 1
    return header(magic, order, version, **kw) + b"".join(
        record(sec, usec * scale + (7 if scale == 1000 else 0), data,
               magic=magic, order=order, version=version)
        for sec, usec, data in packets)


def packets(path):
    """The packets of a little-endian microsecond file."""
    blob = path.read_bytes()
    at, found = 24, []
    while at < len(blob):
        sec, usec, caplen, _ = struct.unpack_from("<IIII", blob, at)
        found.append((sec, usec, blob[at + 16:at + 16 + caplen]))
        at += 16 + caplen
    return found


def numbered(count, size=60):
    """Ethernet packets that are told apart by their UDP ports: 53 or 54."""
    found = []
    for i in range(count):
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, i & 0xFFFF, 0,
                         64, 17, 0, b"\xc0\0\2\1", b"\xc0\0\2\2")
        udp = struct.pack(">HHHH", 1024 + i % 5, 53 + i % 2, size - 34, 0)
        found.append((1700000000 + i // 1000, i % 1000 * 1000,
                      (b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + udp).ljust(
                          size, b"\0")))
    return found


# pcapng


def block(kind, body, order="<", length=None, trailer=None):
    body += b"\0" * (-len(body) % 4)
    length = len(body) + 12 if length is None else length
    trailer = length if trailer is None else trailer
    return struct.pack(order + "II", kind, length) + body + \
        struct.pack(order + "I", trailer)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + \
        b"\0" * (-len(value) % 4)


def options(*pairs, order="<"):
    return b"".join(option(code, value, order) for code, value in pairs) + \
        (option(0, b"", order) if pairs else b"")


def shb(order="<", version=(1, 0), extra=b"", **kw):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version,
                                         -1) + extra, order, **kw)


def idb(linktype=1, snaplen=262144, *pairs, order="<"):
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) +
                 options(*pairs, order=order), order)


def epb(interface, time, data, length=None, order="<", caplen=None, extra=b"",
        kind=6):
    fields = struct.pack(order + ("I" if kind == 6 else "HH"),
                         *([interface] if kind == 6 else [interface, 7]))
    return block(kind, fields + struct.pack(
        order + "IIII", time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF,
        len(data) if caplen is None else caplen,
        len(data) if length is None else length) + data +
        b"\0" * (-len(data) % 4) + extra, order)


def pb(*args, **kw):
    return epb(*args, kind=2, **kw)


def spb(data, length=None, order="<"):
    return block(3, struct.pack(order + "I", len(data) if length is None
                                else length) + data, order)


def isb(interface, *pairs, order="<"):
    return block(5, struct.pack(order + "III", interface, 0, 0) +
                 options(*pairs, order=order), order)


def pcapng(found, order="<", **kw):
    return shb(order) + idb(order=order, **kw) + b"".join(
        epb(0, sec * 1000000 + usec, data, order=order)
        for sec, usec, data in found)
