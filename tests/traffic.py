"""A small network's traffic, made up but valid, for the programs that read
it: ARP, DHCP, DNS, HTTP with a picture and passwords, FTP, SIP, RADIUS, ICMP,
a port knock, and the TLS and IPv6 connections of sample.pcap. The same at
each call, but for the time."""

import base64
import hashlib
import struct
import zlib
from pathlib import Path

import pcapfile

SAMPLE = Path(__file__).parent / "data" / "sample.pcap"
SERVER, CLIENT = "198.51.100.80", "198.51.100.{}"
MACS = b"\2\0\0\0\0\x50", b"\2\0\0\0\0\x01"


def _address(text):
    return bytes(int(part) for part in text.split("."))


def _checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ethernet(kind, payload, to_server=True):
    to, by = MACS if to_server else MACS[::-1]
    return (to + by + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def ipv4(src, dst, protocol, payload, number=1):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number,
                       0x4000, 64, protocol, 0, _address(src), _address(dst))
    head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
    return _ethernet(0x0800, head + payload, dst == SERVER)


def _summed(src, dst, protocol, segment, at):
    pseudo = _address(src) + _address(dst) + struct.pack(">HH", protocol,
                                                         len(segment))
    total = _checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack(">H", total) + segment[at + 2:]


def udp(src, sport, dst, dport, data):
    segment = struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
    return ipv4(src, dst, 17, _summed(src, dst, 17, segment, 6))


def tcp(src, sport, dst, dport, seq, ack, flags, data=b""):
    segment = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF,
                          ack & 0xFFFFFFFF, 5 << 4, flags, 64240, 0, 0) + data
    return ipv4(src, dst, 6, _summed(src, dst, 6, segment, 16))


SYN, FIN, PSH, ACK = 2, 1, 8, 16


def conversation(client, port, server_port, *turns):
    """A whole connection; turns are said by (client, server, client...)."""
    ends = [(client, port, 1000), (SERVER, server_port, 9000)]
    found = []

    def say(who, flags, data=b""):
        (src, sport, seq), (dst, dport, other) = ends[who], ends[1 - who]
        found.append(tcp(src, sport, dst, dport, seq,
                         other if flags & ACK else 0, flags, data))
        length = len(data) + bool(flags & (SYN | FIN))
        ends[who] = (src, sport, seq + length)

    say(0, SYN)
    say(1, SYN | ACK)
    say(0, ACK)
    for i, turn in enumerate(turns):
        for at in range(0, len(turn), 1400):
            say(i % 2, PSH | ACK, turn[at:at + 1400])
            say(1 - i % 2, ACK)
    say(0, FIN | ACK)
    say(1, FIN | ACK)
    say(0, ACK)
    return found


def _dns_name(name):
    return b"".join(bytes([len(part)]) + part.encode()
                    for part in name.split(".")) + b"\0"


def dns(i):
    client, port = CLIENT.format(1 + i % 20), 20000 + i
    question = _dns_name(f"www{i}.example.com") + b"\0\1\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4" + _address("203.0.113.7")
    return [udp(client, port, SERVER, 53, struct.pack(
                ">HHHHHH", i, 0x0100, 1, 0, 0, 0) + question),
            udp(SERVER, 53, client, port, struct.pack(
                ">HHHHHH", i, 0x8180, 1, 1, 0, 0) + question + answer)]


def picture():
    """A PNG that is large enough for who collects pictures."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * y * 7 + x * x) % 256
                                  for x in range(64)) for y in range(64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def http(i):
    client = CLIENT.format(1 + i % 20)
    kind, body = ("image/png", picture()) if i % 10 == 0 else \
        ("text/html", b"<html>%04d " % i + b"pcap-tcp " * 800 + b"</html>")
    login = base64.b64encode(b"user%d:secret%d" % (i, i))
    return conversation(
        client, 30000 + i, 80,
        b"GET /page%d.html HTTP/1.1\r\nHost: www.example.com\r\n"
        b"User-Agent: traffic/1.0\r\nAuthorization: Basic %s\r\n\r\n"
        % (i, login),
        b"HTTP/1.1 200 OK\r\nServer: traffic/1.0\r\nContent-Type: %s\r\n"
        b"Content-Length: %d\r\n\r\n" % (kind.encode(), len(body)) + body)


def ftp(i):
    return conversation(
        CLIENT.format(1 + i), 40000 + i, 21, b"", b"220 ready\r\n",
        b"USER user%d\r\n" % i, b"331 password\r\n",
        b"PASS secret%d\r\n" % i, b"230 in\r\n",
        b"QUIT\r\n", b"221 bye\r\n")


def sip(i):
    client = CLIENT.format(1 + i)

    def message(first, cseq, to_tag=True):
        text = "\r\n".join([
            first, f"Via: SIP/2.0/UDP {client}:5060;branch=z9hG4bK{i}",
            f"From: <sip:a{i}@example.com>;tag=f{i}",
            f"To: <sip:b{i}@example.com>" + (f";tag=t{i}" if to_tag else ""),
            f"Call-ID: call{i}@example.com", f"CSeq: {cseq}",
            f"Contact: <sip:a{i}@{client}>", "Max-Forwards: 70",
            "Content-Length: 0", "", ""])
        return text.encode()

    uri = f"sip:b{i}@example.com SIP/2.0"
    to = [(client, 5060, SERVER, 5060), (SERVER, 5060, client, 5060)]
    return [udp(*to[who], message(*what)) for who, *what in (
        (0, "INVITE " + uri, "1 INVITE", False),
        (1, "SIP/2.0 180 Ringing", "1 INVITE"),
        (1, "SIP/2.0 200 OK", "1 INVITE"), (0, "ACK " + uri, "1 ACK"),
        (0, "BYE " + uri, "2 BYE"), (1, "SIP/2.0 200 OK", "2 BYE"))]


def radius(i):
    client, secret = CLIENT.format(1 + i), b"testing123"
    vector = hashlib.md5(b"%d" % i).digest()
    user = b"user%d" % i
    attributes = bytes([1, 2 + len(user)]) + user + b"\4\6" + _address(client)
    request = struct.pack(">BBH", 1, i, 20 + len(attributes)) + vector + \
        attributes
    head = struct.pack(">BBH", 2, i, 20)
    reply = head + hashlib.md5(head + vector + secret).digest()
    return [udp(client, 50000 + i, SERVER, 1812, request),
            udp(SERVER, 1812, client, 50000 + i, reply)]


def dhcp(i):
    def message(op, kind):
        fixed = struct.pack(">BBBBIHH4s4s4s4s", op, 1, 6, 0, 77 + i, 0, 0,
                            b"\0" * 4, _address(CLIENT.format(1 + i))
                            if op == 2 else b"\0" * 4, b"\0" * 4, b"\0" * 4)
        return fixed + (MACS[1] + b"\0" * 202) + b"\x63\x82\x53\x63" + \
            b"\x35\1" + bytes([kind]) + b"\x36\4" + _address(SERVER) + b"\xff"
    return [udp("0.0.0.0", 68, "255.255.255.255", 67, message(1, 1)),
            udp(SERVER, 67, "255.255.255.255", 68, message(2, 2)),
            udp("0.0.0.0", 68, "255.255.255.255", 67, message(1, 3)),
            udp(SERVER, 67, "255.255.255.255", 68, message(2, 5))]


def arp(i):
    client = _address(CLIENT.format(1 + i))
    mac = MACS[1][:5] + bytes([1 + i])
    ask = b"\0\1\x08\0\6\4\0\1" + mac + client + b"\0" * 6 + _address(SERVER)
    tell = b"\0\1\x08\0\6\4\0\2" + MACS[0] + _address(SERVER) + mac + client
    return [(b"\xff" * 6 + mac + b"\x08\6" + ask).ljust(60, b"\0"),
            (mac + MACS[0] + b"\x08\6" + tell).ljust(60, b"\0")]


def icmp(i):
    def echo(kind):
        data = struct.pack(">BBHHH", kind, 0, 0, 7, i) + b"pcap-tcp" * 7
        return data[:2] + struct.pack(">H", _checksum(data)) + data[4:]
    client = CLIENT.format(1 + i)
    return [ipv4(client, SERVER, 1, echo(8)), ipv4(SERVER, client, 1, echo(0))]


def knock():
    return [tcp(CLIENT.format(9), 50000 + port, SERVER, port, 1, 0, SYN)
            for port in (7000, 8000, 9000)]


def packets(start=1700000000):
    """[(seconds, microseconds, data)], ten seconds from start on."""
    found = [frame for i in range(8) for frame in arp(i)]
    found += dhcp(0)
    for i in range(60):
        found += dns(i) + http(i)
        if i < 10:
            found += ftp(i) + sip(i) + radius(i) + icmp(i)
    found += knock()
    found += [data for _, _, data in pcapfile.packets(SAMPLE)]
    step = 10_000_000 // len(found)
    return [(start + i * step // 1_000_000, i * step % 1_000_000, frame)
            for i, frame in enumerate(found)]
