"""How long a sender's packets take while others replay a TLS greeting.

    /usr/bin/python3 bench/hello-flood.py BUILD [REPLAYS-A-SECOND [SECONDS]]

One device listens with TLS and without it. A sender of it, without TLS or with
an established session, sends a packet with the time in it each 5 ms. In turn
with and without: somebody connects so often, each time with the same
ClientHello (TLS 1.3, X25519), and hangs up when it is answered, which costs the
listener a key exchange and a signature. Prints a line for each: packets,
median, 99th percentile and maximum in ms, and how many were answered a second.
"""

import contextlib
import os
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from streams import HEADER, SYSTEM, running

INTERVAL = 0.005    # seconds between two packets
OPEN = 48           # connections of a flood at a time
KEYS = {"EC P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "RSA 2048": ["rsa:2048"], "RSA 4096": ["rsa:4096"]}


def counted(data):
    return struct.pack(">H", len(data)) + data


def client_hello():
    extensions = ((43, b"\2\3\4"), (10, counted(b"\0\x1d")),
                  (13, counted(b"\4\3\x08\4\4\1")),
                  (51, counted(b"\0\x1d" + counted(os.urandom(32)))))
    body = b"\3\3" + os.urandom(32) + b"\0" + counted(b"\x13\1") + b"\1\0" + \
        counted(b"".join(struct.pack(">H", kind) + counted(data)
                         for kind, data in extensions))
    return b"\x16\3\1" + counted(struct.pack(">I", 1 << 24 | len(body)) + body)


def flood(port, rate):
    """Until SIGTERM; then it prints how many were answered."""
    hello, selector = client_hello(), selectors.DefaultSelector()
    answered, following = 0, time.monotonic()
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        now = time.monotonic()
        # No backlog of its own where the machine is too slow for it.
        following = max(following, now - 0.1)
        while following <= now and len(selector.get_map()) < OPEN:
            following += 1 / rate
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(hello)
            selector.register(s, selectors.EVENT_READ)
        for key, _ in selector.select(max(0.0005, following - now)):
            try:
                answered += bool(key.fileobj.recv(1))
            except ConnectionError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()
    print(answered, flush=True)


def send(port, tls, seconds):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = context.wrap_socket(s)
    s.sendall(HEADER)
    time.sleep(0.5)
    following = time.monotonic()
    end = following + seconds
    while following < end:
        following += INTERVAL
        time.sleep(max(0, following - time.monotonic()))
        now = time.monotonic_ns()
        s.sendall(struct.pack("<IIII14xQ42x", now // 10**9,
                              now // 1000 % 10**6, 64, 64, now))
    s.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@contextlib.contextmanager
def listening(build, folder):
    """A reader, and its ports without TLS and with it."""
    ports = free_port(), free_port()
    with running(build / "bench/reader", "latency-loop",
                 f"tcp-listen:{ports[0]}+tls-listen:{ports[1]},linktype=EN10MB,"
                 f"cert={folder}/cert.pem,key={folder}/key.pem",
                 env=dict(SYSTEM, LD_LIBRARY_PATH=str(build / "lib")),
                 stdout=subprocess.PIPE, text=True) as reader:
        for port in ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.01)
        yield reader, *ports


def measure(build, folder, rate, tls, seconds):
    """Packets, three times in ms, and answers a second."""
    me = [sys.executable, "-B", __file__]
    answered, began = 0, time.monotonic()
    with listening(build, folder) as (reader, plain, secure), \
            contextlib.ExitStack() as stack:
        if rate:
            flooder = stack.enter_context(running(
                *me, "flood", secure, rate, stdout=subprocess.PIPE, text=True))
        subprocess.run(me + ["send", str(secure if tls else plain),
                             str(int(tls)), str(seconds)], check=True)
        if rate:
            flooder.terminate()
            answered = int(flooder.communicate()[0])
        took = time.monotonic() - began
        time.sleep(0.5)
        reader.send_signal(signal.SIGINT)
        first, second = reader.communicate()[0].splitlines()
    return int(first.split()[0]), \
        [float(us) / 1000 for us in second.split()], answered / took


def main(build, rate=400, seconds=10):
    for key, options in KEYS.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["openssl", "req", "-x509", "-newkey", *options,
                            "-nodes", "-days", "2", "-subj", "/CN=flood",
                            "-keyout", f"{folder}/key.pem", "-out",
                            f"{folder}/cert.pem"], check=True,
                           stderr=subprocess.DEVNULL)
            for tls, replays in product((False, True), (0, rate)):
                n, times, answered = measure(build, folder, replays, tls,
                                             seconds)
                print(f"{key}, sender {'with' if tls else 'without'} TLS, "
                      f"{replays:.0f} replays: {n} packets,",
                      *(f"{ms:.2f}" for ms in times),
                      f"ms, {answered:.0f} answered", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["flood"]:
        flood(int(sys.argv[2]), float(sys.argv[3]))
    elif sys.argv[1:2] == ["send"]:
        send(int(sys.argv[2]), sys.argv[3] == "1", float(sys.argv[4]))
    else:
        main(Path(sys.argv[1]).resolve(), *map(float, sys.argv[2:4]))
