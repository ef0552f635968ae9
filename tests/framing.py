"""Ethernet frames as captures of other link types have them."""

import struct

from pcapfile import pcap

# Those that take what is not IP, too; and the others.
KINDS, IP_KINDS = {}, {}


def kind(linktype, kinds=IP_KINDS, **kw):
    """Makes of a function from a frame to a packet one from frames to a
    capture."""
    def decorate(frame_to_packet):
        def capture(found):
            if kinds is IP_KINDS:
                found = of_ip(found)
            return pcap([(s, u, frame_to_packet(f)) for s, u, f in found],
                        linktype=linktype, **kw)
        capture.__name__ = frame_to_packet.__name__
        kinds[frame_to_packet.__name__] = capture
        return capture
    return decorate


def of_ip(found):
    return [(s, u, f) for s, u, f in found
            if f[12:14] in (b"\x08\0", b"\x86\xdd")]


def is_ipv4(frame):
    return frame[12:14] == b"\x08\0"


def kind_of_cast(frame):
    """What Linux says of a destination."""
    return 1 if frame[:6] == b"\xff" * 6 else 2 if frame[0] & 1 else 0


@kind(113, KINDS)
def cooked(f):
    return struct.pack(">HHH6sH", kind_of_cast(f), 1, 6, f[6:12], 0) + f[12:]


@kind(276, KINDS)
def cooked_v2(f):
    return struct.pack(">2sHIHBB6sH", f[12:14], 0, 3, 1, kind_of_cast(f), 6,
                       f[6:12], 0) + f[14:]


@kind(276, KINDS, order=">")
def cooked_without_an_address(f):
    return struct.pack(">2sHIHBB8s", f[12:14], 0, 3, 0xFFFE, 4, 0, b"") + \
        f[14:]


@kind(104, KINDS)
def hdlc(f):
    return b"\x0f\0" + f[12:]


@kind(50, KINDS)
def hdlc_as_ppp(f):
    return b"\x8f\0" + f[12:]


@kind(101)
def raw(f):
    return f[14:]


@kind(12)
def raw_12(f):
    return f[14:]


@kind(14)
def raw_14(f):
    return f[14:]


@kind(0)
def null(f):
    return (b"\2\0\0\0" if is_ipv4(f) else b"\x1e\0\0\0") + f[14:]


@kind(0, order=">")
def null_of_the_other_order(f):
    return (b"\0\0\0\2" if is_ipv4(f) else b"\0\0\0\x1c") + f[14:]


@kind(108)
def loop(f):
    return (b"\0\0\0\2" if is_ipv4(f) else b"\0\0\0\x18") + f[14:]


@kind(108)
def loop_of_the_other_order(f):
    return (b"\2\0\0\0" if is_ipv4(f) else b"\x18\0\0\0") + f[14:]


@kind(9)
def ppp(f):
    return (b"\xff\3\0\x21" if is_ipv4(f) else b"\xff\3\0\x57") + f[14:]


@kind(9)
def ppp_without_hdlc(f):
    return (b"\0\x21" if is_ipv4(f) else b"\0\x57") + f[14:]


@kind(9)
def ppp_compressed(f):
    return (b"\x21" if is_ipv4(f) else b"\x57") + f[14:]


@kind(50)
def ppp_serial(f):
    return (b"\xff\3\0\x21" if is_ipv4(f) else b"\xff\3\0\x57") + f[14:]
