"""pcapng streams: the packets that the file reader gives, and some that it
does not."""

import struct

import pytest

from conftest import ASAN, READER, SAMPLE, need, read_device, run, stats
from pcapfile import (NSEC, block, epb, header, idb, isb, numbered, packets,
                      pb, pcap, pcapng, record, shb, spb)

DATA = numbered(1)[0][2]
TIME = 1700000000123456
ORDERS = ["<", ">"]


def device_packets(serve, data, *options):
    """In small segments."""
    return device_packets_at_once(serve, data, *options, segment=[13])


def device_packets_at_once(serve, data, *options, segment=()):
    """(seconds.fraction, caplen, len) of each packet, and the end."""
    result = run(READER, "-p", *options, serve([*segment, data]).device)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    end = [li for li in lines if li.startswith("END")][0]
    return [tuple(li.split()[1:4]) for li in lines if li[0] == "P"], end


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("precision", ["micro", "nano"])
def test_same_packets_as_the_file_reader(serve, read_file, order, precision):
    data = pcapng(packets(SAMPLE), order)
    option = f"--time-stamp-precision={precision}"
    assert read_device(serve([data]).device, option) == \
        read_file(data, option)


@pytest.mark.parametrize("segment", [1, 5, 11])
def test_any_segments(serve, read_file, segment):
    data = pcapng(packets(SAMPLE))
    assert read_device(serve([segment, data]).device) == read_file(data)


@pytest.mark.parametrize("order", ORDERS)
def test_every_block_type(serve, read_file, order):
    kw = {"order": order}
    data = shb(**kw) + block(0x0BAD, b"custom " * 3, **kw) + idb(**kw) + \
        epb(0, TIME, DATA, **kw) + spb(DATA, **kw) + \
        block(4, b"\0" * 8, **kw) + pb(0, TIME, DATA[:17], **kw) + \
        isb(0, (5, struct.pack(order + "Q", 3)), **kw) + \
        epb(0, TIME, DATA, extra=b"\2\0\4\0abcd\0\0\0\0", **kw) + \
        block(0x40000BAD, b"", **kw) + epb(0, TIME, b"", length=1500, **kw)
    assert read_device(serve([data]).device) == read_file(data)


@pytest.mark.parametrize("resolution", [0, 3, 6, 9, 10, 19, 0x80, 0x81, 0x8A,
                                        0x94, 0xA0, 0xA2])
@pytest.mark.parametrize("precision", ["micro", "nano"])
def test_time_stamp_resolutions(serve, read_file, resolution, precision):
    data = shb() + idb(1, 0, (9, bytes([resolution])),
                       (14, struct.pack("<q", 1000))) + \
        b"".join(epb(0, t, DATA) for t in (0, 1, TIME, 0x123456789ABCDE))
    option = f"--time-stamp-precision={precision}"
    assert read_device(serve([data]).device, option) == \
        read_file(data, option)


@pytest.mark.parametrize("shift", [35, 40, 62, 63])
def test_time_stamps_finer_than_libpcap_can_scale(serve, shift):
    """There sf-pcapng.c overflows 64 bits."""
    time = 3 << shift | 0x123456789ABCDEF & (1 << shift) - 1
    data = shb() + idb(1, 0, (9, bytes([0x80 | shift]))) + \
        epb(0, time & (1 << 64) - 1, DATA)
    found, _ = device_packets(serve, data, "-n")
    whole = time & (1 << 64) - 1
    fraction = (whole & (1 << shift) - 1) * 10**9 >> shift
    assert found[0][0] == f"{whole >> shift}.{fraction:09}"


def test_negative_offset(serve):
    data = shb() + idb(1, 0, (14, struct.pack("<q", -1700000000))) + \
        epb(0, TIME, DATA)
    assert device_packets(serve, data)[0] == [("0.123456", "60", "60")]


def test_sections_may_change_everything_but_the_link_type(serve):
    """sf-pcapng.c refuses another byte order."""
    data = pcapng(numbered(2)) + pcapng(numbered(3), ">", snaplen=96) + \
        shb(version=(1, 1)) + idb(1, 0, (9, b"\x09")) + \
        epb(0, TIME * 1000, DATA)
    found, end = device_packets(serve, data)
    assert len(found) == 6
    assert found[-1][0] == "1700000000.123456"
    assert end == "END -2 end of stream"


def test_a_section_before_the_first_interface(serve):
    """sf-pcapng.c skips it there, and goes on in the order of the first."""
    data = shb() + shb(">") + idb(order=">") + epb(0, TIME, DATA, order=">")
    assert len(device_packets(serve, data)[0]) == 1


def test_pcap_and_pcapng_in_one_stream(serve):
    data = pcap(numbered(1)) + pcapng(numbered(2), ">") + \
        pcap(numbered(3), NSEC, ">") + pcapng(numbered(4))
    found, end = device_packets(serve, data)
    assert len(found) == 10
    assert end == "END -2 end of stream"


def test_interfaces_with_snaplens_and_units_of_their_own(serve):
    """sf-pcapng.c refuses different snapshot lengths."""
    data = shb() + idb(1, 60) + idb(1, 200, (9, b"\x03")) + \
        epb(0, TIME, DATA) + epb(1, TIME // 1000, b"x" * 200)
    found, end = device_packets(serve, data)
    assert found == [("1700000000.123456", "60", "60"),
                     ("1700000000.123000", "200", "200")]
    assert end == "END -2 end of stream"


def test_a_packet_beyond_libpcaps_maximum_is_cut_to_that(serve):
    """Whatever its interface promised: the block says where it ends."""
    long = epb(0, TIME, DATA * 5000)
    for snaplen in 0, 96, 1 << 20:
        data = shb() + idb(1, snaplen) + long + epb(0, TIME, DATA)
        found, end = device_packets_at_once(serve, data)
        assert [p[1:] for p in found] == [("262144", "300000"), ("60", "60")]
        assert end == "END -2 end of stream"


def test_two_raw_interfaces(serve):
    """sf-pcapng.c compares LINKTYPE_RAW with DLT_RAW."""
    data = shb() + idb(101) + idb(101) + epb(1, TIME, DATA[14:])
    assert len(device_packets(serve, data)[0]) == 1


@pytest.mark.parametrize("kinds", [1, 2], ids=["alike", "of two kinds"])
def test_an_interface_before_every_packet(serve, kinds):
    kind = [idb(1, 0), idb(1, 0, (9, b"\x03"))]
    count = 200000
    data = shb() + b"".join(
        kind[i % kinds] + epb(i, 1700000000 * 10 ** (3 if i % kinds else 6),
                              DATA) for i in range(count))
    result = run(READER, serve([data]).device)
    assert "END -2 end of stream" in result.stdout
    assert stats(result.stdout.splitlines())["packets"] == count


def test_an_interface_of_another_link_type_is_no_fault_until_it_is_used(serve):
    """Many captures have one that never sent a packet."""
    good = shb() + idb() + idb(113) + epb(0, TIME, DATA) + idb(276) + idb()
    packet = epb(3, TIME, DATA)
    found, end = device_packets(serve, good + packet)
    assert len(found) == 2
    assert end == "END -2 end of stream"
    used = epb(1, TIME, DATA)
    found, end = device_packets(serve, good + packet + used)
    assert len(found) == 2
    assert end.endswith(": the link type is LINUX_SLL, the device's is EN10MB "
                        "(linktype=EN10MB takes both) "
                        f"(at byte {len(good + packet)} of the stream)")


def test_what_to_write_for_another_link_type(serve):
    """Also where it is the first interface's, as long as that sends none."""
    data = shb() + idb(189) + idb() + epb(1, TIME, DATA)
    used = epb(0, TIME, DATA)
    device = serve([data + used]).device + ",linktype=EN10MB"
    result = run("tcpdump", "-n", "-i", device)
    assert "1 packet captured" in result.stderr
    assert "the link type is USB_LINUX, the device's is EN10MB " \
        f"(linktype=USB_LINUX takes it) (at byte {len(data)} of the " \
        "stream)" in result.stderr
    device = serve([header(linktype=300)]).device + ",linktype=EN10MB"
    assert "the link type is 300, the device's is EN10MB (linktype=300 " \
        "takes it)" in run("tcpdump", "-n", "-i", device).stderr
    device = serve([header(linktype=300) + record(1, 2, DATA)]).device
    result = run(READER, device + ",linktype=300")
    assert stats(result.stdout.splitlines())["packets"] == 1


def test_fcs_length(serve):
    data = shb() + idb(1, 0, (13, b"\x20"))
    result = run(READER, serve([data]).device)
    assert f"OPEN dlt=1 ext={0x24000000} " in result.stdout


def test_the_senders_drops_are_in_the_statistics(serve):
    """Absolute counts, by interface; and they go on after a new section."""
    def drops(n, osdrop):
        return (5, struct.pack("<Q", n)), (7, struct.pack("<Q", osdrop))
    data = shb() + idb() + idb() + isb(0, *drops(3, 10)) + \
        isb(1, *drops(4, 0)) + isb(0, *drops(5, 11)) + \
        isb(7, *drops(99, 99)) + isb(0, (5, b"\1\2")) + \
        shb() + idb() + isb(0, *drops(1, 1))
    result = run("tcpdump", "-n", "-i", serve([data]).device)
    assert "12 packets dropped by kernel" in result.stderr
    assert "10 packets dropped by interface" in result.stderr
    result = run(READER, serve([data]).device)
    assert stats(result.stdout.splitlines())["drop"] == 22


def test_activation_is_at_the_first_interface(serve, start):
    server = serve([shb(), block(0x0BAD, b"x" * 100), "go", idb(113), "hold"])
    reader = start(READER, server.device)
    reader.wait_until_blocked()
    assert reader.lines == []
    server.go()
    reader.wait_for("OPEN dlt=113")


def test_activation_ends_at_the_timeout_under_a_flood_of_blocks(serve):
    """valgrind makes the reader slow, so that there is always more to read."""
    need("valgrind")
    if ASAN:
        pytest.skip("valgrind can't run a sanitizer build")
    flood = block(0x0BAD, b"") * 100000
    server = serve([shb()] + [flood] * 20000)
    result = run("valgrind", "-q", READER, server.device + ",timeout=1")
    assert "sent no pcap stream within 1 seconds" in result.stderr


def test_the_buffer_is_small_again_after_a_large_block(serve, start):
    if ASAN:
        pytest.skip("the address sanitizer keeps what was freed")
    data = shb() + idb() + block(0x0BAD, b"x" * (15 << 20)) + \
        epb(0, TIME, DATA)
    reader = start(READER, "-p", serve([data, "hold"]).device)
    reader.wait_for("^P")
    reader.wait_until_blocked()
    status = open(f"/proc/{reader.process.pid}/status").read()

    def kilobytes(what):
        return int(status.split(what + ":")[1].split()[0])

    assert kilobytes("VmHWM") > 15 << 10 > 2 * kilobytes("VmRSS")


def test_large_blocks(serve):
    """Up to 16 MiB, and the buffer is small again after that."""
    data = shb(extra=b"\1\0\x10\x27" + b"c" * 10000) + idb() + \
        block(0x0BAD, b"x" * ((16 << 20) - 12)) + epb(0, TIME, DATA)
    assert len(device_packets_whole(serve, data)) == 1


@pytest.mark.parametrize("kind", [0x0BAD, 0x40000BAD, 10, 0x8000FFFF, 5])
def test_blocks_of_any_size_are_skipped(serve, kind):
    """Without memory for them: 64 MiB would not fit."""
    need("prlimit")
    if ASAN:
        pytest.skip("the address sanitizer takes terabytes of addresses")
    # They are no packet blocks, whatever they look like inside.
    large = block(kind, epb(0, 5, DATA) * (64 << 20 >> 7))
    assert len(large) > 40 << 20
    data = shb() + large + idb() + epb(0, TIME, DATA) + large + \
        epb(0, TIME, DATA)
    result = run("prlimit", f"--as={32 << 20}", READER, "-p",
                 serve([data]).device)
    assert result.stdout.count("\nP ") == 2
    assert "END -2 end of stream" in result.stdout


@pytest.mark.parametrize("cut", [12, 100, 1 << 20, 20 << 20, (20 << 20) + 11])
def test_an_end_within_a_block_that_is_skipped_is_a_fault(serve, cut):
    data = shb() + idb() + epb(0, TIME, DATA) + \
        block(0x0BAD, b"x" * (20 << 20))[:cut]
    result = run(READER, serve([data]).device)
    assert "END -1" in result.stdout


def test_a_skipped_block_has_its_length_at_both_ends(serve):
    large = block(0x0BAD, bytes(20 << 20), trailer=16)
    result = run(READER, serve([shb() + idb() + large]).device)
    assert "END -1" in result.stdout
    assert "header and trailer don't match" in result.stdout


@pytest.mark.parametrize("trailer", [106, 108])
@pytest.mark.parametrize("order", ORDERS)
def test_lengths_that_were_not_rounded(serve, order, trailer):
    """The data is padded, as some public captures have it."""
    def unrounded(whole, less, end=True):
        length = struct.pack(order + "I", len(whole) - less)
        return whole[:4] + length + whole[8:-4] + \
            (length if end else whole[-4:])
    data = shb(order) + \
        unrounded(idb(1, 0, (2, b"x"), order=order), 3) + \
        unrounded(epb(0, TIME, DATA + bytes(14), order=order), 2,
                  trailer == 106) + \
        unrounded(block(0xBAD, b"12345", order), 3) + \
        epb(0, TIME, DATA, order=order)
    found, end = device_packets(serve, data)
    assert [caplen for _, caplen, _ in found] == ["74", "60"]
    assert end == "END -2 end of stream"


@pytest.mark.parametrize("options,unit", [
    (((9, b"\x09"), (9, b"\x03")), 9), (((9, b"\x09\0\0\0"),), 6),
    (((9, b"\x09\0\0\0"), (9, b"\x03")), 3), (((9, b""),), 6),
    (((14, b"\1"), (14, bytes(8)), (14, b"\1" * 8)), 6),
    (((9, b"\x09"), (0, b"abcd"), (9, b"\x03")), 9)], ids=str)
def test_odd_options_are_taken_as_tshark_takes_them(serve, tmp_path, options,
                                                    unit):
    """The first that is as long as it should be."""
    data = shb() + idb(1, 0, *options) + \
        epb(0, 1700000000 * 10 ** unit, DATA)
    found, end = device_packets(serve, data)
    assert found == [("1700000000.000000", "60", "60")]
    assert end == "END -2 end of stream"
    need("tshark")
    path = tmp_path / "odd.pcapng"
    path.write_bytes(data)
    assert run("tshark", "-r", path, "-T", "fields", "-e",
               "frame.time_epoch").stdout == "1700000000.000000000\n"


def device_packets_whole(serve, data):
    result = run(READER, "-p", serve([data]).device)
    return [li for li in result.stdout.splitlines() if li[0] == "P"]


REFUSED = {
    "too large": (block(6, b"", length=(16 << 20) + 4),
                  "pcapng block size 16777220 > maximum 16777216"),
    "too large to skip": (block(0x0BAD, b"", length=0x80000000),
                          "pcapng block size 2147483648 > maximum"),
    "too small": (block(0x0BAD, b"", length=8), "a length of 8 < 12"),
    "0xffffffff": (block(0x0BAD, b"", length=0xFFFFFFFF), "4294967295"),
    "0xfffffffc": (block(0x0BAD, b"", length=0xFFFFFFFC),
                   "pcapng block size 4294967292 > maximum"),
    "odd": (block(0x0BAD, b"\0" * 8, length=17, trailer=24), "don't match"),
    "trailer": (block(0x0BAD, b"\0" * 8, trailer=24), "don't match"),
    "interface": (epb(1, TIME, DATA), "a packet arrived on interface 1, but"),
    "caplen": (epb(0, TIME, DATA, caplen=61), "is too short"),
    "epb": (block(6, b"\0" * 16), "block of type 6 in the pcapng stream is "
            "too short"),
    "tsresol": (idb(1, 0, (9, b"\x14")), "resolution 10^-20 is too high"),
    "tsresol 2": (idb(1, 0, (9, b"\xc0")), "resolution 2^-64 is too high"),
    "option": (block(1, b"\1\0\0\0\0\0\0\0\2\0\xff\xff"), "is too short"),
    "magic": (shb().replace(b"\x4d\x3c", b"\x4d\x3d"),
              "a section with a bad byte order magic field"),
    "version": (shb(version=(2, 0)), "unsupported pcapng version 2.0"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_damage(serve, what):
    damage, said = REFUSED[what]
    good = shb() + idb() + epb(0, TIME, DATA)
    server = serve([good + damage, "hold"])
    result = run("tcpdump", "-n", "-i", server.device)
    assert result.returncode == 1
    assert "1 packet captured" in result.stderr
    line = [li for li in result.stderr.splitlines() if "pcap_loop" in li][0]
    assert said in line
    assert line.endswith(f"(at byte {len(good)} of the stream)")


@pytest.mark.parametrize("start_with,said", [
    (shb(length=24), "Section Header Block has invalid length 24"),
    (shb(length=0x7FFFFFFC), "Section Header Block has invalid length"),
    (shb(version=(1, 1)), "unsupported pcapng version 1.1"),
    (shb() + epb(0, TIME, DATA), "before any Interface Description Blocks"),
])
def test_damage_at_the_start(serve, start_with, said):
    result = run("tcpdump", "-n", "-i", serve([start_with, "hold"]).device)
    assert result.returncode == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_dumpcap_sends_pcapng_unless_told_not_to(serve, tmp_path):
    """The real thing, and dumpcap's own blocks."""
    path = tmp_path / "sent.pcapng"
    result = run("dumpcap", "-q", "-i", serve([SAMPLE.read_bytes()]).device,
                 "-w", path)
    assert result.returncode == 0, result.stderr
    found, end = device_packets(serve, path.read_bytes())
    assert len(found) == len(packets(SAMPLE))
    assert end == "END -2 end of stream"


def test_a_record_header_that_looks_like_a_section(serve):
    """A packet of 1975 is a packet: the next field tells."""
    data = header() + record(0x0A0D0D0A, 0, DATA)
    assert device_packets(serve, data)[0] == [("168627466.000000", "60", "60")]
