"""A device gives the packets that the file reader gives for the same bytes."""

import itertools
import re
import struct

import pytest

from conftest import (ASAN, READER, SAMPLE, SYSTEM, in_namespace, need,
                      read_device, run, wait_until)
from pcapfile import (KUZNETZOV, NSEC, USEC, epb, header, idb, numbered,
                      packets, pb, pcap, record, shb, spb)

DATA = numbered(1)[0][2]
ORDERS = {"little": "<", "big": ">"}
MAGICS = {"usec": USEC, "nsec": NSEC, "kuznetzov": KUZNETZOV}

SENDERS = {
    "nc": ["nc", "-N", "-l", "127.0.0.1", "PORT"],
    "nc.traditional": ["nc.traditional", "-q", "0", "-l", "-p", "PORT"],
    "socat": ["socat", "-u", "STDIN", "TCP-LISTEN:PORT,bind=127.0.0.1"],
    "ncat": ["ncat", "--send-only", "-l", "127.0.0.1", "PORT"],
}

FILTERS = [
    "ip", "ip6", "tcp", "udp port 53", "tcp port 443 or tcp port 80",
    "host 2001:db8::2", "src net 192.0.2.0/24 and not port 53",
    "ether src 02:00:00:00:00:01", "len > 200", "less 80",
    "tcp[tcpflags] & tcp-syn != 0", "ip[8] = 64", "ip proto 17",
    "greater 1000 and tcp", "not ip and not ip6", "vlan", "portrange 50-60",
    "ether[12:2] = 0x86dd", "dst host 192.0.2.2 and dst port 443",
]


@pytest.mark.parametrize("sender", SENDERS)
def test_real_senders(listen, read_file, tmp_path, sender):
    need(sender)
    command = SENDERS[sender]
    port_command = ["sh", "-c", 'exec "$@" < ' + str(SAMPLE), "sh", *command]
    server = listen(*port_command)
    assert read_device(server.device) == read_file(SAMPLE.read_bytes())


@pytest.mark.parametrize("sender", [
    "nc.traditional -l -p {} -s 127.0.0.1 -c \"{}\"",
    "socat TCP-LISTEN:{},reuseaddr,fork EXEC:\"{}\""],
    ids=["nc.traditional", "socat"])
def test_senders_that_run_tcpdump(listen, read_file, sender):
    need(sender.split()[0])
    server = listen("sh", "-c", "exec " + sender.format(
        "PORT", f"tcpdump -U -w - -r {SAMPLE}"))
    assert read_device(server.device) == read_file(SAMPLE.read_bytes())


@pytest.mark.parametrize("magic,order,precision", itertools.product(
    MAGICS, ORDERS, ["micro", "nano"]))
def test_magics_orders_and_precisions(serve, read_file, magic, order,
                                      precision):
    data = pcap(packets(SAMPLE), MAGICS[magic], ORDERS[order])
    option = f"--time-stamp-precision={precision}"
    server = serve([data])
    assert read_device(server.device, option) == read_file(data, option)


@pytest.mark.parametrize("version", [(2, m) for m in range(5)] + [(543, 0)],
                         ids=str)
def test_versions(serve, read_file, version):
    if version[0] == 543:
        data = header(version=version) + b"".join(
            record(sec, usec, d, version=(2, 2))
            for sec, usec, d in packets(SAMPLE))
    else:
        data = pcap(packets(SAMPLE), version=version)
    server = serve([data])
    assert read_device(server.device) == read_file(data)


@pytest.mark.parametrize("segment", [1, 7, 24])
def test_any_segments(serve, read_file, segment):
    data = SAMPLE.read_bytes()
    server = serve([segment, data])
    assert read_device(server.device) == read_file(data)


def test_header_and_body_in_separate_segments(serve, read_file, start):
    """Each arrives alone: the next is sent when the reader has this one."""
    first, second = numbered(2)
    parts = [header()[:4], header()[4:]]
    for packet in (first, second):
        whole = record(*packet)
        parts += [whole[:10], whole[10:16], whole[16:20], whole[20:]]
    script = [step for part in parts for step in (part, "go")]
    server = serve(script)
    reader = start(READER, "-p", server.device)
    for _ in parts:
        reader.wait_until_blocked()
        server.go()
    assert reader.end() == 0
    assert [line.split()[2] for line in reader.lines if line[0] == "P"] == \
        ["60", "60"]


@pytest.mark.parametrize("expression", FILTERS)
def test_filters(serve, read_file, expression):
    data = SAMPLE.read_bytes()
    server = serve([data])
    assert read_device(server.device, expression) == read_file(data,
                                                               expression)


def test_filter_sees_the_whole_packet_and_its_wire_length(serve):
    """As in a kernel: the snapshot length cuts what the filter let pass."""
    long = record(1, 0, numbered(1, 200)[0][2], length=1500)
    server = serve([header() + long])
    result = run(READER, "-p", "-s", "20", "-f", "len = 1500 and udp port 53",
                 server.device)
    assert [li.split()[2:4] for li in result.stdout.splitlines()
            if li[0] == "P"] == [["20", "1500"]]


def test_bad_filter_is_an_error(serve):
    server = serve([header(), "hold"])
    result = run("tcpdump", "-i", server.device, "no such filter")
    assert result.returncode == 1
    assert "syntax error" in result.stderr


@pytest.mark.parametrize("mode", ["loop", "next", "epoll"])
def test_filter_can_change_while_capturing(serve, mode):
    """Here from the callback, while more packets wait in the buffer."""
    server = serve([pcap(numbered(10))])
    result = run(READER, "-m", mode, "-f", "udp port 53", "-F", "udp port 54",
                 server.device)
    assert "STATS recv=10 drop=0 packets=6 " in result.stdout


def test_count(serve):
    server = serve([pcap(numbered(100)), "hold"])
    result = run("tcpdump", "-n", "-c", "7", "-i", server.device)
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 7
    assert "7 packets captured" in result.stderr


@pytest.mark.parametrize("options", [[], ["-U"], ["--immediate-mode"],
                                     ["-B", "4096"]], ids=str)
def test_write_gives_the_same_file(serve, tmp_path, options):
    server = serve([SAMPLE.read_bytes()])
    out = tmp_path / "out.pcap"
    result = run("tcpdump", "-Z", "root", "-w", out, *options, "-i",
                 server.device)
    assert result.returncode == 0, result.stderr
    assert out.read_bytes() == SAMPLE.read_bytes()


def test_write_in_files_of_a_second(serve, start, tmp_path):
    """-G looks at the clock when a packet arrives."""
    server = serve([header(), record(*numbered(1)[0]), "go",
                    record(*numbered(1)[0])])
    dump = start("tcpdump", "-Z", "root", "-U", "-G", "1", "-w",
                 tmp_path / "out-%s", "-i", server.device)
    dump.wait_for("listening on", lines=dump.errors)

    def files():
        return list(tmp_path.glob("out-*"))

    # -G takes whole seconds: the file's name must be another one.
    before = run("date", "+%s").stdout
    wait_until(lambda: files() and
               int(run("date", "+%s").stdout) > int(before) + 1)
    server.go()
    assert dump.end() == 0
    # On a slow machine, the first file is over before there is a packet.
    sizes = [f.stat().st_size for f in files()]
    assert [size for size in sizes if size > 24] == [100, 100], sizes


@pytest.mark.parametrize("stream", [
    header(snaplen=48) + record(*numbered(1)[0]),
    shb() + idb(snaplen=48) + epb(0, 5, DATA),
    shb() + idb(snaplen=48) + pb(0, 5, DATA),
    shb() + idb(snaplen=48) + spb(DATA)], ids=["pcap", "epb", "pb", "spb"])
def test_a_packet_longer_than_its_stream_promised_is_whole(serve, stream):
    """sf-pcap.c cuts it, sf-pcapng.c takes it for a fault."""
    result = run(READER, "-p", serve([stream]).device)
    assert " 60 60 " in result.stdout
    assert "END -2 end of stream" in result.stdout


def test_the_programs_snapshot_length_cuts(serve):
    data = SAMPLE.read_bytes()
    result = run(READER, "-p", "-s", "10", serve([data]).device)
    assert {li.split()[2] for li in result.stdout.splitlines()
            if li[0] == "P"} == {"10"}
    assert "snaplen=10\n" in result.stdout


@pytest.mark.parametrize("snaplen", [0, 1, 65535, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_streams_snapshot_length_is_not_the_handles(serve, snaplen):
    """Programs make buffers of that size, and another stream may follow."""
    data = header(snaplen=snaplen) + pcap(numbered(1))
    result = run(READER, "-p", serve([data]).device)
    assert "snaplen=262144\n" in result.stdout
    assert "60 60" in result.stdout


def test_caplen_zero_and_len_smaller_than_caplen(serve, read_file):
    data = header() + record(1, 2, b"") + record(3, 4, b"", length=60) + \
        record(5, 6, b"x" * 60, length=0) + record(*numbered(1)[0])
    assert read_device(serve([data]).device) == read_file(data)


def test_usec_beyond_a_second_and_seconds_beyond_2038(serve):
    data = header(order=">") + record(0xF0000000, 4000000, b"x" * 14,
                                      order=">")
    result = run(READER, "-p", serve([data]).device)
    assert "P 4026531840.4000000 14 14" in result.stdout


@pytest.mark.parametrize("linktype", [0, 12, 101, 113, 147, 228, 276])
def test_link_types(serve, read_file, tmp_path, linktype):
    data = header(linktype=linktype) + b"".join(
        record(sec, usec, d[14:]) for sec, usec, d in packets(SAMPLE))
    assert read_device(serve([data]).device) == read_file(data)


@pytest.mark.parametrize("order", ORDERS)
def test_usb_pseudo_headers_come_in_host_order(serve, read_file, order):
    """libpcap's own post-processing swaps them for the other byte order. It
    wants them aligned, which the second one is not by itself."""
    usb = struct.pack(ORDERS[order] + "QBBBBHBBqiiII", 0x1122334455667788,
                      ord("C"), 3, 0x81, 5, 2, ord("-"), 0, 1700000000, 99,
                      -2, 0, 0)
    data = header(order=ORDERS[order], linktype=189) + \
        record(1, 2, usb + b"\0" * 9, order=ORDERS[order]) + \
        record(3, 4, usb + b"\0" * 8, order=ORDERS[order])
    assert read_device(serve([data]).device) == read_file(data)


@pytest.mark.parametrize("linktype", [0, 109])
def test_one_byte_order_for_filters(serve, linktype):
    """The AF_ value has the sender's, and that may change."""
    def stream(order):
        family = struct.pack(order + "I", 2) + b"\0" * (linktype and 8)
        return header(order=order, linktype=linktype) + \
            record(1, 2, family + DATA[14:], order=order)
    for first in "<", ">":
        data = stream(first) + stream("<") + stream(">")
        result = run(READER, "-f", "ip", serve([data]).device)
        assert "STATS recv=3 drop=0 packets=3 " in result.stdout


@pytest.mark.parametrize("segment", [24, 1000])
def test_the_first_header_counts_at_activation(serve, segment):
    """Also where the next one came with it."""
    data = header(linktype=0x24000001) + pcap(numbered(1), order=">")
    result = run(READER, serve([segment, data]).device)
    assert f"OPEN dlt=1 ext={0x24000000} " in result.stdout


def test_a_callback_that_reads_gets_the_next_packet(serve):
    server = serve([pcap(numbered(3))])
    result = run(READER, "-p", "-R", server.device)
    assert [li.split()[1] for li in result.stdout.splitlines()
            if li[0] == "P"] == ["1700000000.001000", "1700000000.000000",
                                 "1700000000.002000"]


def test_fcs_length_is_known_after_activation(serve):
    result = run(READER, serve([header(linktype=0x24000001)]).device)
    assert f"OPEN dlt=1 ext={0x24000000} " in result.stdout


def test_records_larger_than_the_buffer(serve, start, tmp_path):
    """D-Bus messages may have 128 MiB; the buffer grows and shrinks."""
    sizes = [100, 3000000, 1, 524288, 524289, 1048576, 5]
    data = header(snaplen=0, linktype=231) + b"".join(
        record(i, 0, bytes([i]) * size) for i, size in enumerate(sizes))
    result = run(READER, "-p", serve([data]).device)
    assert [int(li.split()[2]) for li in result.stdout.splitlines()
            if li[0] == "P"] == sizes
    assert "END -2 end of stream" in result.stdout


def test_a_second_stream_header_starts_afresh(serve, read_file):
    """cat a.pcap b.pcap | nc -l"""
    one, two = packets(SAMPLE)[:19], packets(SAMPLE)[19:]
    data = pcap(one) + pcap(two, NSEC, ">", (2, 2))
    assert read_device(serve([data]).device) == \
        read_file(pcap(packets(SAMPLE)))


def test_the_last_packet_comes_without_an_end(listen, start):
    """OpenBSD's nc does not close the connection at the end of its input."""
    server = listen("sh", "-c", f"exec nc -l 127.0.0.1 PORT < {SAMPLE}")
    dump = start("tcpdump", "-n", "-l", "-i", server.device)
    dump.wait_for("IP", len(packets(SAMPLE)))


@pytest.mark.parametrize("form", ["tcp:127.0.0.1:{}",
                                  "tcp://127.0.0.1:{}", "TCP:localhost:{}",
                                  "tcp:127.0.0.1:{},timeout=5,keepalive=9"])
def test_forms_of_a_device_name(serve, form):
    server = serve([SAMPLE.read_bytes()])
    result = run("tcpdump", "-n", "-i", form.format(server.port))
    assert result.returncode == 0, result.stderr
    assert f"{len(packets(SAMPLE))} packets captured" in result.stderr


def test_ipv6(serve):
    server = serve([SAMPLE.read_bytes()], address="::1")
    result = run("tcpdump", "-n", "-i", server.device)
    assert result.returncode == 0, result.stderr
    assert f"{len(packets(SAMPLE))} packets captured" in result.stderr


def test_ipv6_zone():
    result = in_namespace(
        "ip addr add fe80::1/64 dev lo nodad",
        f"nc -N -6 -l 5000 < {SAMPLE} &",
        "until ss -Hltn | grep -q :5000; do :; done",
        f"{READER} 'tcp:[fe80::1%lo]:5000'")
    assert result.returncode == 0, result.stderr
    assert f" packets={len(packets(SAMPLE))} " in result.stdout


def test_tshark(serve):
    need("tshark")
    if ASAN:
        pytest.skip("under a preloaded libasan, Debian 12's tshark hangs in "
                    "any live capture, also with the system's libpcap")
    server = serve([SAMPLE.read_bytes()])
    result = run("tshark", "-n", "-l", "-i", server.device)
    assert len(result.stdout.splitlines()) == len(packets(SAMPLE)), \
        result.stderr


@pytest.mark.skipif(ASAN, reason="dumpcap is slower there than the device "
                    "waits for it")
def test_dumpcap_with_several_devices(serve, tmp_path):
    """The first end stops all of its threads, and what they have read and not
    written is lost: so that they need a moment. On a busy machine, it may be
    too short."""
    need("dumpcap")

    def captured():
        devices = [serve([pcap(numbered(128))]).device for _ in range(3)]
        result = run("dumpcap", "-q", "-w", tmp_path / "out.pcapng",
                     *[word for name in devices for word in ("-i", name)])
        return re.search(r"Packets captured: (\d+)", result.stderr)[1]
    assert "384" in [captured() for _ in range(5)]


def test_dumpcap(serve, tmp_path):
    need("dumpcap")
    server = serve([SAMPLE.read_bytes()])
    out = tmp_path / "out.pcap"
    result = run("dumpcap", "-P", "-q", "-i", server.device, "-w", out)
    assert result.returncode == 0, result.stderr
    assert [d for _, _, d in packets(out)] == \
        [d for _, _, d in packets(SAMPLE)]


def test_wireshark_keeps_its_own_device(serve, tmp_path):
    """TCP@, whose reader keeps what a libpcap device cannot: interfaces of
    two link types, here."""
    need("dumpcap", "tshark")
    server = serve([shb() + idb(1) + idb(101) +
                    epb(0, 1, b"x" * 60) + epb(1, 2, b"E" * 40)])
    out = tmp_path / "out.pcapng"
    result = run("dumpcap", "-q", "-i", f"TCP@127.0.0.1:{server.port}", "-w",
                 out)
    assert result.returncode == 0, result.stderr
    result = run("tshark", "-r", out, "-T", "fields", "-e",
                 "frame.encap_type", env=SYSTEM)
    assert result.stdout.split() == ["1", "7"]


def test_statistics_count_before_the_filter(serve):
    server = serve([pcap(numbered(100))])
    result = run(READER, "-f", "udp port 53", server.device)
    assert "STATS recv=100 drop=0 packets=50 " in result.stdout


