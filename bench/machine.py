"""Where the bench ran, and with what."""

import datetime
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from streams import SYSTEM

PACKAGES = {"nc": "netcat-openbsd", "dumpcap": "wireshark-common",
            "tcpdump": "tcpdump", "tcpreplay": "tcpreplay", "ip": "iproute2",
            "openssl": "openssl", "socat": "socat", "strace": "strace",
            "nsenter": "util-linux", "unshare": "util-linux",
            "ssl-read": "libssl-dev"}
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def missing(programs):
    """Says which of the programs are not here, and who has them; or None."""
    for program in programs:
        if not shutil.which(program, path=PATH):
            name = Path(program).name
            return f"{name} is not here (package {PACKAGES[name]})"
    return None


def two_cpus():
    """One for the sender, one for the reader."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[1 if len(cpus) > 1 else 0]


def said(*words, env=SYSTEM):
    result = subprocess.run(words, env=dict(env, PATH=PATH), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL)
    return result.stdout


def processor():
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^(?:model name|Model)\s*: (.*)", text, re.M)
    return found[1] if found else platform.machine()


def caches():
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob(
            "index*")):
        kind = (index / "type").read_text().strip()[0].lower()
        level = (index / "level").read_text().strip()
        found.append(f"L{level}{kind if level == '1' else ''} "
                     f"{(index / 'size').read_text().strip()}")
    return ", ".join(found) or "caches not known"


def libpcap(env):
    found = re.search(r"^libpcap version.*", said("tcpdump", "--version",
                                                  env=env), re.M)
    return found[0] if found else "not known (no tcpdump)"


def versions():
    """Of the other programs, where they are here."""
    asked = {"tcpdump": ["--version"], "dumpcap": ["--version"],
             "tcpreplay": ["--version"], "openssl": ["version"],
             "socat": ["-V"], "nc": ["-h"]}
    for program, words in asked.items():
        if not missing([program]):
            text = said(program, *words)
            found = re.search(r"\d+\.\d+[^\s,:()]*", text)
            yield f"{program} {found[0] if found else '?'}"


def head(build, ours):
    makefile = (build / "Makefile").read_text()
    compiler = re.search(r"^CC = (.*)", makefile, re.M)[1]
    flags = re.search(r"^CFLAGS = (.*)", makefile, re.M)[1]
    sender, reader = two_cpus()
    return [
        datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        f"{os.cpu_count()} CPUs: {processor()}; {caches()}",
        f"{platform.system()} {platform.release()}; sender on CPU {sender}, "
        f"reading side on CPU {reader}" +
        (": THE SAME" if sender == reader else ""),
        f"ours: {libpcap(ours)}; {said(*compiler.split(), '--version')}"
        .split("\n")[0] + f" {flags}",
        f"the distribution's: {libpcap(SYSTEM)}",
        ", ".join(versions())]
