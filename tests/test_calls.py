"""What programs ask of a device beyond reading it, and names that are none."""

import pytest

from conftest import BUILD, Server, free_port, run
from pcapfile import header

CALLS = str(BUILD / "tests" / "calls")


def answers(*command):
    result = run(CALLS, *command)
    assert result.stderr == ""
    return dict(line.split(": ", 1) for line in result.stdout.splitlines()
                if ": " in line)


@pytest.fixture
def asked(serve):
    server = serve([header(), "hold"], [header(), "hold"])
    return answers("ask", server.device)


@pytest.mark.parametrize("call,answer", [
    # As an interface without an address; arpwatch ends without this.
    ("lookupnet", "0"),
    ("net", "0/0"),
    ("activate rfmon", "-6 That device doesn't support monitor mode"),
    # Before pcap_activate().
    ("early datalink", "-3 The pcap_t has not been activated"),
    ("early inject", "-3 This handle hasn't been activated yet"),
    ("can_set_rfmon", "0"),
    ("set_tstamp_type", "0"),
    ("tstamp_types", "2"),
    ("set_tstamp_type adapter", "0"),
    ("set_tstamp_precision", "0"),
    ("set_promisc", "0"),
    ("set_immediate_mode", "0"),
    ("set_buffer_size", "0"),
    ("set_protocol_linux", "0"),
    # After it.
    ("datalink", "1"),
    ("list_datalinks", "1"),
    ("set_datalink same", "0"),
    ("set_datalink other",
     "-1 PPP is not one of the DLTs supported by this device"),
    ("setdirection inout", "0"),
    ("setdirection in",
     "-1 PCAP-over-IP devices don't tell the direction of a packet"),
    ("setdirection out",
     "-1 PCAP-over-IP devices don't tell the direction of a packet"),
    ("sendpacket",
     "-1 Packet injection is not supported on PCAP-over-IP devices"),
    ("inject", "-1 Packet injection is not supported on PCAP-over-IP devices"),
    ("precision", "1"),
    ("is_swapped", "0"),
    ("major", "2"),
    ("fileno", "1"),
    ("required_select_timeout", "none"),
    ("file", "none"),
    # libpcap's own text, its two blanks included.
    ("activate", "-4 can't perform  operation on activated capture"),
    ("set_snaplen", "-4 can't perform  operation on activated capture"),
])
def test_what_programs_ask(asked, call, answer):
    assert asked[call] == answer


def test_the_filter_language_is_that_of_files(asked):
    assert asked["compile"].startswith("-1 ")


def test_not_among_the_interfaces(serve):
    server = serve()
    assert answers("find", server.device) == {"findalldevs": "0",
                                              "listed": "0"}
    assert server.connections == 0


def test_second_activation_after_a_failed_one(start):
    port = free_port()
    program = start(CALLS, "again", f"tcp:127.0.0.1:{port}")
    program.wait_for(r"again\?")
    assert program.lines == [
        f"activate: -1 cannot connect to 127.0.0.1:{port}: Connection refused",
        "errno: Connection refused",
        "read: -3 ",  # PCAP_ERROR_NOT_ACTIVATED, and no crash
        "again?"]
    server = Server([header(), "hold"], port=port)
    program.command("\n")
    assert program.end() == 0
    assert program.lines[4:] == ["activate: 0"]
    server.stop()


def test_second_activation_fails_alike(start):
    program = start(CALLS, "again", f"tcp:127.0.0.1:{free_port()}")
    program.command("\n\n")
    assert program.end() == 0
    assert program.lines[:4] == program.lines[4:]


# Names


def refusal(device):
    line = answers("live", device)["open_live"]
    assert len(line) < 256
    return line


@pytest.mark.parametrize("device", [
    "nonsense", "tc", "tcpx:127.0.0.1:1", "xtcp:127.0.0.1:1", "TCP@",
    "TCP@127.0.0.1:1", "A" * 8192], ids=lambda d: d[:20])
def test_what_is_not_ours_is_left_to_others(device):
    assert run(CALLS, "live", device).stdout == run(
        CALLS, "live", device, env={}).stdout


@pytest.mark.parametrize("name", ["tcp:{}", "tcp:h,{}", "tcp:h:{}",
                                  "tcp:h,timeout={}", "tcp://{}:1"])
@pytest.mark.parametrize("rubbish", [
    "\033]0;title\a", "a\nb", "\x7f", "\x80\xff", "A" * 8192, "a b\t", "::",
    "%s%n%x", "../../etc/passwd", ";reboot", "$(reboot)", "-"],
    ids=lambda text: ascii(text)[:20])
def test_rubbish_in_a_name(name, rubbish):
    line = refusal(name.format(rubbish))
    assert line != "0"
    assert line.isprintable() and line.isascii()


@pytest.mark.parametrize("length", [300, 4095, 4096, 8192, 100000])
def test_long_names(length):
    assert "expected" in refusal("tcp:" + "A" * (length - 4))


def test_a_link_type_that_becomes_ethernet(serve):
    said = answers("ask", serve([header(linktype=276), "hold"],
                                [header(linktype=276), "hold"]).device)
    assert {call: said[call] for call in said if "datalink" in call} == {
        "early datalink": "-3 The pcap_t has not been activated",
        "datalink": "276", "list_datalinks": "276 1", "set_datalink same": "0",
        "set_datalink other":
            "-1 PPP is not one of the DLTs supported by this device",
        "set_datalink ethernet": "0", "datalink then": "1",
        "set_datalink back": "-1 the device's packets have been made Ethernet",
        "datalink at last": "1"}
