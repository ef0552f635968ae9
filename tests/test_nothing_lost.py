"""What the distribution's libpcap does, ours does, too, and the same."""

import pytest

from conftest import OURS, SAMPLE, SYSTEM, in_namespace, need, run
from conftest import same_version
from pcapfile import header, numbered, pcap, record

FILTERS = ["tcp port 443", "host 192.0.2.1 and not port 53", "ip6 proto 17",
           "vlan 7 and icmp", "mpls 1000 and ip", "ether multicast",
           "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "len > 100 or pppoes",
           "portrange 1000-2000", "net 192.0.2.0/24 and greater 60",
           "inbound", "ifindex 1", "iso proto 3", "wlan type mgt",
           "ip protochain 6", "gateway 192.0.2.1", "port"]
LINK_TYPES = [1, 0, 12, 105, 113, 127, 276, 239, 9999]


@pytest.fixture(autouse=True)
def same():
    if not same_version():
        pytest.skip("the system has no libpcap of this version")


def both(*command):
    """What a program says and does with either library."""
    ours, theirs = (run(*command, env=env) for env in (OURS, SYSTEM))
    assert (ours.returncode, ours.stdout, ours.stderr) == \
        (theirs.returncode, theirs.stdout, theirs.stderr)
    return theirs


@pytest.mark.parametrize("options", [
    ["-D"], ["--list-data-link-types", "-i", "lo"],
    ["--list-time-stamp-types", "-i", "lo"], ["--version"],
    ["-i", "no-such-device"], ["-i", "nflog", "-L"]], ids=" ".join)
def test_lists(options):
    result = both("tcpdump", *options)
    assert result.stdout or result.stderr


@pytest.mark.parametrize("linktype", LINK_TYPES)
def test_code_of_filters(linktype, tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(header(linktype=linktype))
    compiled = 0
    for text in FILTERS:
        compiled += both("tcpdump", "-r", path, "-d", text).returncode == 0
    assert compiled >= 5 or linktype in (239, 9999)  # which have no filters


@pytest.mark.parametrize("options", [
    [], ["tcp port 443"], ["--nano"], ["-s", "40"], ["-c", "3"]],
    ids=lambda o: " ".join(o) or "whole")
def test_a_file(options):
    result = both("tcpdump", "-n", "-tt", "-e", "-xx", "-r", SAMPLE, *options)
    assert result.returncode == 0 and result.stdout


def test_a_damaged_file(tmp_path):
    path = tmp_path / "x.pcap"
    for data in (b"", b"nonsense" * 9, pcap(numbered(3))[:-1],
                 header() + record(1, 2, b"x" * 60)[:20]):
        path.write_bytes(data)
        assert both("tcpdump", "-n", "-r", path).returncode != 0


def test_a_capture_on_lo(tmp_path):
    """Both at once, of the same packets."""
    need("nc")
    out = in_namespace(
        f"cd {tmp_path}",
        "tcpdump -U -Z root -c 8 -i lo -w ours 2> log.ours & one=$!",
        "LD_LIBRARY_PATH= tcpdump -U -Z root -c 8 -i lo -w theirs "
        "2> log.theirs & two=$!",
        "until grep -q listening log.ours && grep -q listening log.theirs; "
        "do sleep 0.05; done",
        # Nobody is there: an answer by ICMP to each.
        "for i in 1 2 3 4; do echo $i | nc -u -q 0 127.0.0.1 9; done",
        "wait $one $two",
        # But for the time, which each socket takes by itself.
        "for f in ours theirs; do",
        "tcpdump -Z root -t -n -xx -r $f; echo ==; done",
        "grep dropped log.*")
    assert out.returncode == 0, out.stdout + out.stderr
    ours, theirs, drops = out.stdout.split("==\n")
    assert ours == theirs and ours.count("\nIP ") == 7
    assert drops.count(":0 packets dropped by kernel") == 2
