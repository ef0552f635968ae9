"""fanout=: one stream, several workers, each flow at one of them."""

import os
import re
import signal
import struct
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

import traffic
from conftest import (LIMIT, OURS, READER, SAMPLE, SYSTEM, Server, cause,
                      free_port, in_namespace, need, run, stats)
from framing import IP_KINDS, KINDS, is_ipv4, of_ip
from pcapfile import header, numbered, packets, pcap

WORDS = 2**64 - 1
TRAFFIC = traffic.packets()


def mix(x):
    product = x * 0x9e3779b97f4a7c15
    return product >> 64 ^ product & WORDS


def rotate(x, bits):
    return (x << bits | x >> 64 - bits) & WORDS


def hash_word(word):
    h = mix(0x243f6a8885a308d3 ^ word)
    g = (0x13198a2e03707344 + word) * 0xd1b54a32d192ed03 & WORDS
    return mix(h ^ rotate(g, 32))


def sip_round(a, b, c, d):
    a, c = a + b & WORDS, c + d & WORDS
    b, d = rotate(b, 13) ^ a, rotate(d, 16) ^ c
    a, c = rotate(a, 32) + d & WORDS, c + b & WORDS
    return a, rotate(b, 17) ^ c, rotate(c, 32), rotate(d, 21) ^ a


def siphash(words):
    """SipHash-1-3 with the key 0."""
    a, b, c, d = struct.unpack(">4Q", b"somepseudorandomlygeneratedbytes")
    for word in [*words, len(words) * 8 << 56]:
        a, b, c, d = sip_round(a, b, c, d ^ word)
        a ^= word
    c ^= 0xff
    for _ in range(3):
        a, b, c, d = sip_round(a, b, c, d)
    return a ^ b ^ c ^ d


def worker(flow, n):
    """What pcap-tcp-fanout.h says, apart from the code."""
    *ends, protocol = flow
    total = 0
    for address, port in ends:
        address = ip_address(address)
        rest = port << 16 | protocol
        total += hash_word(int(address) << 32 | rest) \
            if address.version == 4 else siphash(
                [int(address) >> 64, int(address) & WORDS, rest])
    return 1 + ((mix(mix(total & WORDS)) >> 32) * n >> 32)


def ipv4(protocol, payload, number=1):
    return traffic.ipv4("198.51.100.1", "198.51.100.2", protocol, payload,
                        number)[14:]


def datagram(port, payload):
    return ipv4(17, struct.pack(">HHHH", 49152 + len(payload) % 1000, port,
                                8 + len(payload), 0) + payload)


def ethernet(kind, payload):
    return struct.pack(">6s6sH", b"\2\0\0\0\0\3", b"\2\0\0\0\0\4",
                       kind) + payload


def sctp(i):
    """A packet of an association, in one of its directions."""
    ends = [(1, 3000 + i), (2, 38412)]
    if i % 2:
        ends.reverse()
    hosts, ports = zip(*ends)
    segment = struct.pack(">HHII", *ports, 7, 0) + b"\x0b\0\0\4"
    if i < 10:
        return traffic.ipv4(*(f"203.0.113.{h}" for h in hosts), 132, segment)
    return ethernet(0x86dd, struct.pack(
        ">IHBB16s16s", 6 << 28, len(segment), 132, 64,
        *(ip_address(f"2001:db8::{h}").packed for h in hosts)) + segment)


def tunnels():
    """The traffic and some SCTP, each packet in the next kind of tunnel. Each
    kind has IPv4 and IPv6 inside."""
    around = [
        lambda f: f[:12] + b"\x81\0\0\5" + f[12:],
        lambda f: f[:12] + b"\x88\xa8\0\5\x81\0\0\6" + f[12:],
        lambda f: ethernet(0x8864, struct.pack(
            ">BBHHH", 0x11, 0, 7, len(f) - 12,
            0x21 if is_ipv4(f) else 0x57) + f[14:]),
        lambda f: ethernet(0x8847, b"\0\1\0\x40\0\2\1\x40" + f[14:]),
        lambda f: ethernet(0x800, ipv4(4 if is_ipv4(f) else 41, f[14:])),
        lambda f: ethernet(0x800, ipv4(47, b"\0\0" + f[12:])),
        lambda f: ethernet(0x800, ipv4(47, b"\x30\0\x65\x58\0\0\0\1\0\0\0\2" +
                                       f)),
        lambda f: ethernet(0x800, datagram(4789, b"\x08\0\0\0\0\0\7\0" + f)),
        lambda f: ethernet(0x800, datagram(
            6081, b"\1\0\x65\x58\0\0\7\0\1\2\3\0" + f)),
        lambda f: ethernet(0x800, datagram(2152, struct.pack(
            ">BBHI", 0x30, 255, len(f) - 14, 7) + f[14:])),
    ]
    inner = of_ip(TRAFFIC)
    inner += [(*inner[-1][:2], sctp(i)) for i in range(20)]
    return [(sec, usec, around[i % len(around)](frame))
            for i, (sec, usec, frame) in enumerate(inner)]


def fragments():
    """Datagrams in three parts each, in both directions."""
    found = []
    for i in range(300):
        ends = [bytes([10, 0, i % 50, 1]), bytes([10, 0, 0, 2])]
        if i % 2:
            ends.reverse()
        body = struct.pack(">HHHH", 1000 + i, 53, 72, 0) + bytes(64)
        for at in range(0, 72, 24):
            found.append(ethernet(0x800, struct.pack(
                ">BBHHHBBH4s4s", 0x45, 0, 44, i, (at < 48) << 13 | at // 8,
                64, 17, 0, *ends) + body[at:at + 24]))
    return [(1700000000, i, frame) for i, frame in enumerate(found)]


def as_ethernet(found):
    return pcap(found)


# Everything that the tests have, as link types have it. A program that reads a
# file does not try the other byte order of DLT_LOOP, which has but one.
CAPTURES = {
    "sample": SAMPLE.read_bytes,
    "traffic": lambda: as_ethernet(TRAFFIC),
    "numbered": lambda: as_ethernet(numbered(1000)),
    "tunnels": lambda: as_ethernet(tunnels()),
    "fragments": lambda: as_ethernet(fragments()),
    **{name: lambda kind=kind: kind(TRAFFIC)
       for name, kind in {**KINDS, **IP_KINDS}.items()
       if name != "loop_of_the_other_order"},
}

FIELDS = ("frame.protocols", "ip.src", "ip.dst", "ip.proto", "ip.flags.mf",
          "ip.frag_offset", "ipv6.src", "ipv6.dst", "ipv6.nxt", "tcp.srcport",
          "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport",
          "sctp.dstport")


def flow(values):
    """The innermost that tshark sees; None: not IP. What an ICMP message
    quotes is not inside."""
    field = dict(zip(FIELDS, (v.split(",") for v in values)))
    # tshark 4.4 does not name IP where it is in MPLS.
    inner = "ip" if field["ip.src"] != [""] else "ipv6"
    layers = re.sub("mpls:(?!ip)", f"mpls:{inner}:", values[0]).split(":")
    for name in ("icmp", "icmpv6"):
        if name in layers:
            layers = layers[:layers.index(name)]
    ips = [name for name in layers if name in ("ip", "ipv6")]
    if not ips:
        return None
    at = ips.count(ips[-1]) - 1
    a, b = (field[f"{ips[-1]}.{end}"][at] for end in ("src", "dst"))
    protocol = int(field["ip.proto" if ips[-1] == "ip" else "ipv6.nxt"][at])
    ports = 0, 0
    name = {6: "tcp", 17: "udp", 132: "sctp"}.get(protocol)
    if ips[-1] == "ip" and (field["ip.flags.mf"][at] in ("1", "True") or
                            field["ip.frag_offset"][at] != "0"):
        name = None
    if name is not None and field[f"{name}.srcport"] != [""]:
        ports = (int(field[f"{name}.{end}"][-1])
                 for end in ("srcport", "dstport"))
    return *zip((a, b), ports), protocol


def expected_workers(path, n):
    """That of each packet, by what tshark makes of it."""
    options = [o for name in FIELDS for o in ("-e", name)]
    result = run("tshark", "-r", path, "-n", "-o", "ip.defragment:FALSE", "-T",
                 "fields", "-E", "separator=;", *options, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    flows = [flow(line.split(";")) for line in result.stdout.splitlines()]
    assert len(set(flows)) > 1
    return [1 if f is None else worker(f, n) for f in flows]


def printed(lines):
    return [line for line in lines if line.startswith("P ")]


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("name", CAPTURES)
def test_each_packet_is_at_the_worker_of_its_flow(serve, tmp_path, name, n):
    need("tshark")
    data = CAPTURES[name]()
    path = tmp_path / "capture.pcap"
    path.write_bytes(data)
    result = run(READER, "-p", serve([data]).device)
    all_of_them = printed(result.stdout.splitlines())
    workers = expected_workers(path, n)
    assert len(workers) == len(all_of_them) > 0
    server = serve(*[[data]] * n)
    for k in range(1, n + 1):
        lines = run(READER, "-p", f"{server.device},fanout={k}/{n}"
                    ).stdout.splitlines()
        assert printed(lines) == [
            line for line, at in zip(all_of_them, workers) if at == k]
        assert stats(lines)["recv"] == workers.count(k)


@pytest.mark.parametrize("option,said", [
    ("fanout=0/4", 'bad fanout "0/4": expected N or K/N, N from 1 to 256, K '
     "from 1 to N"),
    ("fanout=5/4", 'bad fanout "5/4": expected N or K/N'),
    ("fanout=257", 'bad fanout "257": expected N or K/N'),
    ("fanout=1/4,fanout=4", 'bad fanout "4": expected one fanout='),
])
def test_what_is_refused(option, said):
    assert said in cause(f"tcp:127.0.0.1:1,{option}")


@pytest.mark.parametrize("option", ["", ",linktype=USB_LINUX"])
def test_a_link_type_without_ip_is_refused(serve, option):
    server = serve([header(linktype=189), "hold"])
    assert "fanout= needs packets of a link type in which IP is found, and " \
        "not USB with Linux header" in cause(
            f"{server.device},fanout=1/2{option}")


def names(*programs):
    """Those of sockets that stand for these programs' numbers."""
    inodes = set()
    for program in programs:
        for path in Path(f"/proc/{program.process.pid}/fd").iterdir():
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(path)))
    return [fields[-1] for fields in map(str.split, open("/proc/net/unix"))
            if fields[6] in inodes and "@pcap-tcp/" in fields[-1]]


def are_gone(found):
    return not set(found) & set(Path("/proc/net/unix").read_text().split())


def flows(count=100):
    """A packet each."""
    return [(1700000000, i, traffic.udp("10.0.0.1", 1024 + i, "10.0.0.2", 9,
                                        bytes(i))) for i in range(count)]


def parts(count, n):
    """How many of flows() each of n workers has."""
    return Counter(worker((("10.0.0.1", 1024 + i), ("10.0.0.2", 9), 17), n)
                   for i in range(count))


def refusal(n):
    return (f"fanout={n}: other readers of this device have all numbers up to "
            f"{n}")


def test_numbers_are_handed_out(serve, start):
    """Four processes, a fifth, and one that dies and comes back."""
    count = parts(100, 4)
    assert all(count[k] for k in range(1, 5))
    server = serve(*[[pcap(flows()), "hold"]] * 5)
    device = f"{server.device},fanout=4"

    def next_worker(k):
        program = start(READER, "-p", device)
        program.wait_for("^P ", count=count[k])
        return program

    programs = [next_worker(k) for k in range(1, 5)]
    sets = [printed(p.lines) for p in programs]
    whole = run(READER, "-p", serve([pcap(flows())]).device).stdout
    assert sorted(sum(sets, [])) == sorted(printed(whole.splitlines()))
    taken = names(*programs)
    assert len(taken) == 4
    assert cause(device) == refusal(4)
    # Another device is counted by itself.
    other = start(READER, "-p", serve([pcap(flows()), "hold"]).device +
                  ",fanout=1")
    other.wait_for("^P ", count=100)
    # The second one dies, and its successor is the second again.
    programs[1].signal(signal.SIGKILL)
    programs[1].end()
    programs[1] = next_worker(2)
    assert printed(programs[1].lines) == sets[1]
    assert names(*programs) == taken
    assert server.connections == 5
    for program in programs:
        program.stop()
    assert are_gone(taken)


def test_users_do_not_meet(serve, start):
    if os.getuid() != 0:
        pytest.skip("needs root, to be another user")
    server = serve(*[[pcap(flows()), "hold"]] * 2)
    device = f"{server.device},fanout=1"
    start(READER, "-p", device).wait_for("^P ", count=100)
    assert cause(device) == refusal(1)
    other = start("setpriv", "--reuid=65534", "--clear-groups", READER, "-p",
                  device)
    other.wait_for("^P ", count=100)


def test_who_only_opens_it_has_no_number(serve, start):
    """With linktype=, as programs open what they list."""
    server = serve([pcap(flows()), "hold"])
    device = f"{server.device},fanout=1,linktype=EN10MB"
    waiting = start(READER, "-w", "-p", device)
    waiting.wait_for("^OPEN")
    assert names(waiting) == []
    reading = start(READER, "-p", device)
    reading.wait_for("^P ", count=100)
    assert len(names(reading)) == 1
    waiting.command("\n")
    assert waiting.wait_for("^END") == f"END -1 {refusal(1)}"
    waiting.end()
    assert server.connections == 1


@pytest.mark.parametrize("option", ["", ",linktype=EN10MB"])
def test_closing_gives_the_number_back(serve, option):
    """Opened twenty times in one process, which has but one."""
    server = serve(*[[pcap(flows())]] * 21)
    result = run(READER, "-o", "20", f"{server.device},fanout=1{option}")
    assert "LEAK descriptors=0 bytes=0\n" in result.stdout, result
    assert stats(result.stdout.splitlines())["recv"] == 100


def test_so_does_what_fails():
    """It has it while it tries to connect."""
    device = f"tcp:127.0.0.1:{free_port()},fanout=1"
    result = run(READER, "-o", "-20", device)
    assert "LEAK descriptors=0 bytes=0\n" in result.stdout, result
    assert "Connection refused" in cause(device)


def named(tmp_path, *lines):
    """An environment with these named devices."""
    path = tmp_path / "devices"
    path.write_text("\n".join(lines) + "\n")
    return dict(OURS, PCAP_TCP_DEVICES=str(path))


def test_named_devices(serve, start, tmp_path):
    """One name for all workers, and a name for each."""
    count = parts(100, 2)
    server = serve(*[[pcap(flows()), "hold"]] * 4)
    env = named(tmp_path, f"tap {server.device},fanout=2",
                *(f"tap{k} {server.device},fanout={k}/2" for k in (1, 2)))

    def worker_of(name, k):
        program = start(READER, "-p", name, env=env)
        program.wait_for("^P ", count=count[k])
        return program

    handed_out = [worker_of("tap", k) for k in (1, 2)]
    assert len(names(*handed_out)) == 2
    third = run(READER, "-p", "tap", env=env)
    assert refusal(2) in third.stdout
    assert printed(third.stdout.splitlines()) == []
    written_down = [worker_of(f"tap{k}", k) for k in (1, 2)]
    assert names(*written_down) == []
    assert server.connections == 4
    for one, other in zip(handed_out, written_down):
        assert printed(one.lines) == printed(other.lines)
    whole = run(READER, "-p", serve([pcap(flows())]).device).stdout
    assert sorted(sum((printed(p.lines) for p in handed_out), [])) == \
        sorted(printed(whole.splitlines()))


def test_who_reconnects_keeps_the_number(serve, start):
    """While its sender is away, too: nobody else gets it."""
    count = parts(100, 2)
    server = serve([pcap(flows()), "hold"], [pcap(flows()), "go", "fin"])
    device = f"{server.device},reconnect=yes,fanout=2"
    programs = []
    for k in (1, 2):
        programs.append(start(READER, "-p", device,
                              env=dict(OURS, PCAP_TCP_LOG="stderr")))
        programs[-1].wait_for("^P ", count=count[k])
    taken, sets = names(*programs), [printed(p.lines) for p in programs]
    assert len(taken) == 2
    server.go()
    programs[1].wait_for(" lost 127", lines=programs[1].errors)
    assert cause(device) == refusal(2)
    again = Server([pcap(flows()), "hold"], port=server.port)
    try:
        programs[1].wait_for("^P ", count=2 * count[2])
        assert names(*programs) == taken
        assert cause(device) == refusal(2)
        assert [printed(p.lines) for p in programs] == [sets[0], sets[1] * 2]
        assert (server.connections, again.connections) == (2, 1)
    finally:
        again.stop()


def test_a_child_has_the_number_too(serve, start):
    """A program that becomes a daemon goes on as the same worker."""
    server = serve([pcap(flows()), "hold"])
    device = f"{server.device},fanout=1"
    program = start(READER, "-D", "-p", device)
    assert program.process.wait(LIMIT) == 0
    program.wait_for("^P ", count=100)
    assert cause(device) == refusal(1)
    server.stop()
    program.wait_for("^STATS")


def test_namespaces_do_not_meet(serve, start):
    server = serve([pcap(flows()), "hold"])
    device = f"{server.device},fanout=1"
    start(READER, "-p", device).wait_for("^P ", count=100)
    assert cause(device) == refusal(1)
    result = in_namespace(f"exec {READER} -p {device}")
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("n", [2, 3])
def test_several_sources(serve, n):
    """Of each its share, in the order of time."""
    parts = [pcap(TRAFFIC[i::2]) for i in range(2)]
    whole = printed(run(READER, "-p", serve([pcap(TRAFFIC)]).device
                        ).stdout.splitlines())
    found = []
    for k in range(1, n + 1):
        servers = [serve([part]) for part in parts]
        lines = run(READER, "-p", "tcp:" + "+".join(
            f"127.0.0.1:{s.port}" for s in servers) + f",fanout={k}/{n}"
            ).stdout.splitlines()
        found.append(printed(lines))
        assert found[-1] == [line for line in whole if line in
                             set(found[-1])]
        assert stats(lines)["recv"] == len(found[-1]) > 0
    assert sorted(sum(found, [])) == sorted(whole)


@pytest.mark.parametrize("option", ["", ",reconnect=yes"])
def test_who_is_refused_and_reads_on_waits(serve, start, option):
    """Nor does it take a CPU."""
    server = serve([pcap(flows()), "hold"])
    device = f"{server.device},fanout=1,linktype=EN10MB{option}"
    start(READER, "-p", device).wait_for("^P ", count=100)
    refused = start(READER, "-e", "2", "-m", "dispatch", "-t", "100", device)
    refused.wait_for("^END -1 fanout=1")
    assert refused.wake_ups() <= 40
    assert server.connections == 1


def test_merged_again(serve, tmp_path):
    """Four of tcpdump's files are the stream."""
    need("mergecap")
    server = serve(*[[pcap(TRAFFIC)]] * 4)
    files = [tmp_path / f"{k}.pcap" for k in range(1, 5)]
    for k, path in enumerate(files, 1):
        result = run("tcpdump", "-i", f"{server.device},fanout={k}/4", "-w",
                     path)
        assert result.returncode == 0, result.stderr
        assert len(packets(path)) > 20
    whole = tmp_path / "whole.pcap"
    result = run("mergecap", "-F", "pcap", "-w", whole, *files, env=SYSTEM)
    assert result.returncode == 0, result.stderr
    assert packets(whole) == TRAFFIC
