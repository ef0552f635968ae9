"""linktype=EN10MB and pcap_set_datalink(): what carries IP becomes Ethernet."""

import re
import socket
import struct
from contextlib import ExitStack
from xml.etree import ElementTree

import pytest

import traffic
from conftest import (LIMIT, READER, SAMPLE, SYSTEM, cause, free_port,
                      is_listening, need, run, stats, wait_until)
from framing import IP_KINDS, KINDS, cooked, cooked_v2, null, of_ip, ppp, raw
from pcapfile import (block, epb, header, idb, numbered, packets, pb, pcap,
                      record, shb, spb)
from test_fanout import fragments, tunnels

SOURCE, TARGET = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
GROUP, ALL = b"\3\0\0\0\0\2", b"\xff" * 6
HAS_ADDRESSES = ("cooked", "cooked_v2")
ALL_KINDS = {**KINDS, **IP_KINDS}
TRAFFIC = traffic.packets()
# Everything that the tests have.
CAPTURES = {
    "sample": lambda: packets(SAMPLE), "traffic": lambda: TRAFFIC,
    "numbered": lambda: numbered(1000), "tunnels": tunnels,
    "fragments": fragments,
}


def expected(name, found):
    """What the frames that became that kind are as Ethernet again."""
    for s, u, f in found if name in KINDS else of_ip(found):
        to = TARGET
        if name in HAS_ADDRESSES:
            to = ALL if f[:6] == ALL else GROUP if f[0] & 1 else to
        by = f[6:12] if name in HAS_ADDRESSES else SOURCE
        yield s, u, to + by + f[12:]


def written(device, path, *options):
    """What tcpdump writes to a file of a device."""
    result = run("tcpdump", "-i", device, "-w", path, *options)
    assert result.returncode == 0, result.stderr
    return packets(path)


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_there_and_back(serve, tmp_path, kind, name):
    found = CAPTURES[name]()
    server = serve([ALL_KINDS[kind](found)])
    as_ethernet = written(f"{server.device},linktype=EN10MB",
                          tmp_path / "out.pcap")
    assert as_ethernet == list(expected(kind, found))
    assert len(as_ethernet) > 20


def layers(path, *below):
    """The network layer and up, as tshark prints it: all but positions."""
    result = run("tshark", "-r", path, "-n", "-T", "pdml", env=SYSTEM)
    assert result.returncode == 0, result.stderr
    found = []
    for packet in ElementTree.fromstring(result.stdout).iter("packet"):
        fields = []
        for proto in packet.iter("proto"):
            if proto.get("name") not in ("geninfo", "frame", *below):
                fields += [tuple(field.get(k) for k in (
                    "name", "showname", "size", "show", "value"))
                    for field in proto.iter()]
        found.append(fields)
    return found


# What tshark calls the headers below the network layer.
BELOW = ("eth", "sll", "null", "ppp", "chdlc", "raw", "fake-field-wrapper")
# Of HDLC, neither of the two knows ARP.
KNOWN = {name: of_ip(TRAFFIC) if name in ("hdlc", "hdlc_as_ppp") else TRAFFIC
         for name in ALL_KINDS}


# tshark's DLT_LOOP has one byte order.
@pytest.mark.parametrize("kind", sorted({*ALL_KINDS} -
                                        {"loop_of_the_other_order"}))
def test_tshark_sees_the_same_above(serve, tmp_path, kind):
    need("tshark")
    native, out = tmp_path / "native.pcap", tmp_path / "out.pcap"
    data = ALL_KINDS[kind](KNOWN[kind])
    native.write_bytes(data)
    written(serve([data]).device + ",linktype=EN10MB", out)
    before, after = layers(native, *BELOW), layers(out, *BELOW)
    assert len(before) == len(after) > 20
    assert sum(map(len, before)) > 2000
    for a, b in zip(before, after):
        assert a == b


# tcpdump has no link type 14.
@pytest.mark.parametrize("kind", sorted({*ALL_KINDS} - {"raw_14"}))
def test_tcpdump_prints_the_same(serve, tmp_path, kind):
    data = ALL_KINDS[kind](KNOWN[kind])
    native = tmp_path / "native.pcap"
    native.write_bytes(data)
    options = ("-tt", "-n", "-v")
    theirs = run("tcpdump", "-r", native, *options, env=SYSTEM)
    assert theirs.returncode == 0, theirs.stderr
    ours = run("tcpdump", "-i", serve([data]).device + ",linktype=EN10MB",
               *options)
    # A cooked header's interface and direction, a serial line's protocol.
    lines = [re.sub(r"^(\d+\.\d+ )(\S+ +(In|Out|B|M) +|IP6?: )", r"\1", line)
             for line in theirs.stdout.splitlines()]
    assert ours.stdout.splitlines()[:-1] == lines
    assert len(lines) > 20


def set_datalink(device, path, *options):
    return written(device, path, "-y", "EN10MB", *options)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_set_datalink(serve, tmp_path, kind):
    """Also where records were there, and staged, when it was called."""
    data = ALL_KINDS[kind](TRAFFIC)
    server = serve([data], [data])
    assert set_datalink(server.device, tmp_path / "out.pcap") == \
        list(expected(kind, TRAFFIC))
    result = run("tcpdump", "-L", "-i", server.device)
    assert re.findall(r"^  (\w+)", result.stdout + result.stderr, re.M)[-1] \
        == "EN10MB"


def test_what_is_ethernet_or_cannot_be_offers_no_other(serve):
    for linktype, name in (1, "EN10MB"), (189, "USB_LINUX"):
        server = serve([header(linktype=linktype), "hold"])
        result = run("tcpdump", "-L", "-i", server.device)
        assert re.findall(r"^  (\w+)", result.stdout + result.stderr,
                          re.M) == [name]
    server = serve([header(linktype=189), "hold"])
    assert "EN10MB is not one of the DLTs supported" in run(
        "tcpdump", "-y", "EN10MB", "-i", server.device).stderr


def test_set_datalink_of_a_device_that_was_not_begun(serve, tmp_path):
    server = serve([cooked(TRAFFIC)])
    assert set_datalink(f"{server.device},linktype=RAW",
                        tmp_path / "out.pcap") == \
        list(expected("cooked", TRAFFIC))


FILTER = "ether proto 0x0806 or udp port 53"


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_filters_are_for_ethernet(serve, tmp_path, kind):
    matched = tmp_path / "matched.pcap"
    found = list(expected(kind, TRAFFIC))
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(found))
    result = run("tcpdump", "-r", whole, "-w", matched, FILTER, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    data = ALL_KINDS[kind](TRAFFIC)
    server = serve([data], [data])
    ours = written(f"{server.device},linktype=EN10MB", tmp_path / "a.pcap",
                   FILTER)
    assert ours == packets(matched) != []
    assert len(ours) < len(found)
    assert set_datalink(server.device, tmp_path / "b.pcap", FILTER) == ours


def test_sources_of_several_link_types(serve, tmp_path):
    """Of each every fifth packet, in the order of time."""
    order = ["plain", "cooked_v2", "raw", "null", "ppp"]
    kinds = dict(ALL_KINDS, plain=pcap)
    found = of_ip(TRAFFIC)
    servers = [serve([kinds[name](found[i::5])])
               for i, name in enumerate(order)]
    device = "tcp:" + "+".join(f"127.0.0.1:{s.port}" for s in servers)
    ours = written(f"{device},linktype=EN10MB", tmp_path / "out.pcap")
    theirs = []
    for i, name in enumerate(order):
        theirs += found[i::5] if name == "plain" else \
            expected(name, found[i::5])
    assert ours == sorted(theirs, key=lambda p: p[:2])


def test_senders_of_several_link_types(start, tmp_path):
    """At one listener, and at once: who has connected stays."""
    found = of_ip(TRAFFIC)
    kinds = ["cooked_v2", "raw", "null", "ppp"]
    port, path = free_port(), tmp_path / "out.pcap"
    dump = start("tcpdump", "-w", path, "-c", str(len(kinds) * len(found)),
                 "-i", f"tcp-listen:{port},linktype=EN10MB")
    wait_until(lambda: is_listening(port), "it listens")
    with ExitStack() as stack:
        for name in kinds:
            sender = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), LIMIT))
            sender.sendall(ALL_KINDS[name](found))
        assert dump.end() == 0
    assert sorted(packets(path)) == sorted(
        packet for name in kinds for packet in expected(name, found))


def test_two_link_types_say_what_to_write(serve):
    a, b = serve([header(linktype=276), "hold"]), serve([header(), "hold"])
    device = f"tcp:127.0.0.1:{a.port}+127.0.0.1:{b.port}"
    assert cause(device) == f"127.0.0.1:{a.port} sends LINUX_SLL2, " \
        f"127.0.0.1:{b.port} EN10MB: linktype=EN10MB takes both"


def test_later_connections(serve):
    """Each of another link type."""
    found = of_ip(TRAFFIC)[:10]
    captures = [cooked(found), pcap(found), raw(found), null(found),
                cooked_v2(found), ppp(found)]
    server = serve(*[[c] for c in captures[:-1]], [captures[-1], "hold"])
    result = run(READER, "-p", "-m", "dispatch", "-t", "10", "-c", "60",
                 f"{server.device},linktype=EN10MB,reconnect=yes")
    lines = [line for line in result.stdout.splitlines() if line[0] == "P"]
    lengths = [len(f) for _, _, f in found] * 6
    assert [int(line.split()[3]) for line in lines] == lengths
    assert server.connections == 6


def test_another_stream_in_mid_stream(serve, tmp_path):
    found = of_ip(TRAFFIC)[:10]
    server = serve([b"".join((cooked(found), pcap(found), raw(found)))])
    ours = written(server.device + ",linktype=EN10MB", tmp_path / "out.pcap")
    assert ours == [*expected("cooked", found), *found,
                    *expected("raw", found)]


def of_interfaces(order, linktypes, found, how):
    """A section with an interface of each link type, the first one's packets
    first."""
    data = shb(order)
    for i, (linktype, one) in enumerate(linktypes):
        data += idb(linktype, order=order)
    for s, u, f in found:
        for i, (linktype, one) in enumerate(linktypes):
            if how is spb and i > 0:
                continue
            args = (one(f),) if how is spb else (
                i, s * 1000000 + u, one(f))
            data += how(*args, order=order)
    return data


def in_sll(f):
    return b"\0\0\0\1\0\6" + f[6:12] + b"\0\0" + f[12:]


def in_raw(f):
    return f[14:]


def in_null(f):
    return (b"\2\0\0\0" if f[12:14] == b"\x08\0" else b"\x1e\0\0\0") + f[14:]


INTERFACES = [(101, in_raw), (1, bytes), (113, in_sll), (0, in_null)]


def of_pcapng(found, interfaces):
    for _, _, f in found:
        for linktype, _ in interfaces:
            yield f if linktype == 1 else TARGET + (
                f[6:12] if linktype == 113 else SOURCE) + f[12:]


@pytest.mark.parametrize("size", [1, 13, 1000, None])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("how", [epb, pb, spb])
def test_interfaces(serve, tmp_path, how, order, size):
    """In reads that end anywhere, so that each block is once the first in
    its buffer. A Simple Packet Block's header is shorter than Ethernet's."""
    found = of_ip(TRAFFIC)[:10 if size == 1 else 60]
    data = of_interfaces(order, INTERFACES, found, how)
    script = [data] if size is None else [size, data]
    ours = written(serve(script).device + ",linktype=EN10MB",
                   tmp_path / "out.pcap")
    assert [f for _, _, f in ours] == list(of_pcapng(
        found, INTERFACES[:1] if how is spb else INTERFACES))


def test_simple_packets_one_a_read(serve, start):
    found = of_ip(TRAFFIC)[:10]
    server = serve([shb() + idb(101)] + [
        step for _, _, f in found for step in ("go", spb(f[14:]))])
    reader = start(READER, "-p", "-m", "epoll",
                   server.device + ",linktype=EN10MB")
    for i, (_, _, f) in enumerate(found, 1):
        server.go()
        assert reader.wait_for("^P", i).split()[3] == str(len(f))
    assert reader.end() == 0


def test_without_linktype_the_fault_says_what_helps(serve):
    data = shb() + idb() + idb(101) + epb(0, 1, TRAFFIC[0][2])
    used = epb(1, 2, of_ip(TRAFFIC)[0][2][14:])
    result = run(READER, "-p", serve([data]).device)
    assert "END -2 end of stream" in result.stdout
    result = run(READER, "-p", serve([data + used]).device)
    assert "the link type is RAW, the device's is EN10MB (linktype=EN10MB " \
        "takes both)" in result.stdout


NETLINK = struct.pack(">HHH8sH", 4, 824, 0, b"", 0) + b"\x14\0\0\0\x12\0"
SLARP = b"\x8f\0\x80\x35" + bytes(18)


@pytest.mark.parametrize("linktype,other,good", [
    (113, NETLINK, in_sll), (104, SLARP, lambda f: b"\x0f\0" + f[12:]),
    (101, b"\x50" * 20, in_raw), (0, b"\7\0\0\0" + bytes(20), in_null),
    (113, in_sll(TRAFFIC[0][2])[:15], in_sll)])
def test_what_cannot_be_is_left_out_and_counted(serve, start, linktype, other,
                                                good):
    """And it never makes a descriptor readable that then is not."""
    found = of_ip(TRAFFIC)[:10]
    data = header(linktype=linktype) + b"".join(
        record(s, u, other) * 3 + record(s, u, good(f)) for s, u, f in found)
    server = serve([data], [data], [data], [data], [header(linktype=linktype) +
                                            record(1, 2, other) * 200, "go",
                                            record(1, 2, good(found[0][2]))])
    for options in (["-i", f"{server.device},linktype=EN10MB"],
                    ["-y", "EN10MB", "-i", server.device]):
        result = run("tcpdump", *options)
        assert "10 packets captured" in result.stderr
        assert "30 packets dropped by interface" in result.stderr
    for mode in "next", "epoll":
        result = run(READER, "-p", "-m", mode,
                     f"{server.device},linktype=EN10MB")
        assert stats(result.stdout.splitlines())["recv"] == 10
    idle = start(READER, "-p", "-m", "epoll",
                 f"{server.device},linktype=EN10MB")
    idle.wait_for("^OPEN")
    assert idle.wake_ups() <= 40
    server.go()
    assert idle.end() == 0
    assert stats(idle.lines)["packets"] == 1


def test_what_is_no_ip_in_ppp_stays_ppp(serve, tmp_path):
    """EtherType 0x880b."""
    lcp = b"\xff\3\xc0\x21\1\1\0\4"
    data = header(linktype=9) + record(1, 2, lcp)
    ours = written(serve([data]).device + ",linktype=EN10MB",
                   tmp_path / "out.pcap")
    assert ours == [(1, 2, TARGET + SOURCE + b"\x88\x0b" + lcp)]
    result = run("tcpdump", "-n", "-r", tmp_path / "out.pcap", env=SYSTEM)
    assert "LCP, Conf-Request (0x01), id 1, length 6" in result.stdout


@pytest.mark.parametrize("snaplen", [0, 30, 60])
def test_the_snapshot_is_of_ethernet(serve, tmp_path, snaplen):
    """And len is more than caplen in the stream, too."""
    frame = of_ip(TRAFFIC)[0][2]
    data = header(linktype=101) + record(1, 2, frame[14:54], length=1480)
    server = serve([data])
    ours = run("tcpdump", "-s", str(snaplen), "-i",
               f"{server.device},linktype=EN10MB", "-w", tmp_path / "o.pcap")
    assert ours.returncode == 0
    blob = (tmp_path / "o.pcap").read_bytes()
    assert struct.unpack_from("<II", blob, 32) == (
        min(snaplen or 54, 54), 1494)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kind", ["cooked_v2", "raw", "ppp"])
def test_fan_out_is_that_of_the_native_packets(serve, tmp_path, kind, n):
    data = ALL_KINDS[kind](TRAFFIC)
    server = serve(*[[data]] * 3 * n)
    for k in range(1, n + 1):
        device = f"{server.device},fanout={k}/{n}"
        native = tmp_path / f"native{k}.pcap"
        count = len(written(device, native))
        out = written(f"{device},linktype=EN10MB", tmp_path / "out.pcap")
        assert len(out) == count
        # The last bytes are the same whatever stands in front.
        assert [(s, u, f[-20:]) for s, u, f in out] == \
            [(s, u, f[-20:]) for s, u, f in packets(native)]
        assert set_datalink(device, tmp_path / "set.pcap") == out


def test_who_does_not_ask_gets_what_was_sent(serve, read_file):
    data = cooked_v2(TRAFFIC)
    result = run("tcpdump", "-tt", "-n", "-e", "-xx", "-i",
                 serve([data]).device)
    assert result.stdout[:-1] == read_file(data)


def test_a_block_between_two_packets(serve, tmp_path):
    """What is written in front of a packet is no other packet's."""
    found = of_ip(TRAFFIC)[:20]
    data = shb() + idb(101) + b"".join(
        spb(f[14:]) + block(0xBAD, b"x" * (i % 9)) * (i % 3)
        for i, (_, _, f) in enumerate(found))
    ours = written(serve([data]).device + ",linktype=EN10MB",
                   tmp_path / "out.pcap")
    assert [f for _, _, f in ours] == [f for _, _, f in
                                       expected("raw", found)]
