"""timestamps=arrival, and pcap_set_tstamp_type(): whose clock it is."""

import time

import pytest

from conftest import READER, cause, run
from pcapfile import NSEC, numbered, pcap
from test_sources import device_of, interleaved, times

# Of 2023.
OLD = pcap(numbered(1000))
OLDER = pcap([(0, 0, frame) for _, _, frame in numbered(10)])


def tcpdump(*arguments):
    result = run("tcpdump", "-n", "-tt", "--immediate-mode", *arguments)
    assert result.returncode == 0, result.stderr
    return [float(line.split()[0]) for line in result.stdout.splitlines()
            if " IP " in line]


@pytest.mark.parametrize("name,types,arrival", [
    ("", (), False),
    (",timestamps=sender", (), False),
    (",Timestamps=Arrival", (), True),
    # What the program asks for goes before what its device says.
    ("", ("-j", "host"), True),
    (",timestamps=sender", ("-j", "host"), True),
    (",timestamps=arrival", ("-j", "adapter"), False),
    (",timestamps=arrival,linktype=EN10MB", (), True)])
def test_whose_clock(serve, name, types, arrival):
    server = serve([OLD, "fin"])
    began = time.time()
    found = tcpdump("-i", server.device + name, *types)
    ended = time.time()
    assert len(found) == 1000
    assert found == sorted(found)
    inside = [began - 0.001 <= stamp <= ended for stamp in found]
    assert all(inside) if arrival else not any(inside)


def test_types_are_listed(serve):
    result = run("tcpdump", "-J", "-i", serve(["hold"]).device)
    said = result.stdout + result.stderr  # where depends on its version
    assert [line.split()[0] for line in said.splitlines()
            if line.startswith("  ")] == ["adapter", "host"], said


def test_in_nanoseconds(serve):
    server = serve([pcap(numbered(10), magic=NSEC), "fin"])
    began = time.time()
    result = run(READER, "-p", "-n", server.device + ",timestamps=arrival")
    found = times(result.stdout.splitlines())
    assert len(found) == 10
    assert all(began - 0.001 <= stamp <= time.time() for stamp in found)


@pytest.mark.parametrize("senders", [2, 16])
def test_several_are_monotone(serve, senders):
    """However their own clocks go."""
    streams = interleaved(senders, 20000 // senders)
    servers = [serve([data, "fin"]) for data in streams[1:]]
    servers.append(serve([OLDER, "fin"]))
    result = run(READER, "-p", device_of(servers, ",timestamps=arrival"))
    found = times(result.stdout.splitlines())
    assert len(found) == (senders - 1) * (20000 // senders) + 10
    assert found == sorted(found)


def test_a_packet_comes_later_than_its_connection(serve, start):
    server = serve([OLDER, "go", OLDER[24:], "fin"])
    reader = start(READER, "-p", server.device + ",timestamps=arrival")
    reader.wait_for("^P", count=10)
    between = time.time()
    server.go()
    reader.wait_for("^P", count=20)
    found = times(reader.lines)
    assert found[9] <= between <= found[10] + 0.001


@pytest.mark.parametrize("value,shown", [
    ("=", ""), ("", ""), ("=local", "local")])
def test_other_values_are_refused(value, shown):
    assert cause(f"tcp:127.0.0.1:1,timestamps{value}").endswith(
        f'bad timestamps "{shown}": expected sender or arrival')
