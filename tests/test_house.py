"""The module's files: which knows which, and how large they are."""

import re
from itertools import chain

import pytest

from conftest import BUILD, HERE, SYSTEM, run

SOURCE = HERE.parent
FILES = {p.name: p.read_text() for p in sorted(SOURCE.glob("pcap-tcp*.[ch]"))}
INTERNAL = {"pcap-tcp.c", "pcap-tcp-compat.h", "pcap-tcp-read.c",
            "pcap-tcp-linktype.c"}
EVENTS = r"epoll|eventfd|timerfd"
EVENTS_FILE = "pcap-tcp-events.c"
SIGNALS_FILE = "pcap-tcp-signal.c"
LINES, FUNCTION, MODULE = 500, 50, 8022


def without_comments(text):
    """The lines stay where they are."""
    return re.sub(r"(?s)/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text)


def included(text):
    return re.findall(r'(?m)^#\s*include\s*[<"]([^>"]+)', text)


def symbols(name):
    """What an object defines for others, and what it takes of them."""
    stem = name.removesuffix(".c")
    path, = (p for p in (BUILD / "libpcap" / f"{stem}_pic.o",
                         BUILD / "libpcap" / f"{stem}.o") if p.exists())
    defined, undefined = set(), set()
    for line in run("nm", "-P", path, env=SYSTEM).stdout.splitlines():
        symbol, kind = line.split()[:2]
        if kind == "U":
            undefined.add(symbol)
        elif kind.isupper():
            defined.add(symbol)
    return defined, undefined


@pytest.fixture(scope="module")
def objects():
    return {name: symbols(name) for name in FILES if name.endswith(".c")}


def unit(name):
    """x.c, x.h and x-int.h are one."""
    return re.sub(r"(-int)?\.[ch]$", "", name)


def circles(uses):
    """The sets of units that use each other, by others, too; uses: unit to
    units."""
    reached = {}
    for start in uses:
        found, more = set(), set(uses[start])
        while more:
            found |= more
            more = set(chain(*(uses.get(u, ()) for u in more))) - found
        reached[start] = found
    return {frozenset(v for v in reached[u] if u in reached.get(v, ()))
            for u in uses if u in reached[u]}


def test_no_circle(objects):
    """Of includes and references, to functions as to data: one unit is over
    or under another, or has nothing to do with it."""
    why = {}
    for name, text in FILES.items():
        for header in included(text):
            if header in FILES:
                why.setdefault((unit(name), unit(header)), []).append(
                    f"{name} includes {header}")
    for name, (_, undefined) in objects.items():
        for other, (defined, _) in objects.items():
            for symbol in sorted(undefined & defined):
                why.setdefault((unit(name), unit(other)), []).append(
                    f"{name} refers to {symbol} in {other}")
    uses = {}
    for user, used in why:
        if user != used:
            uses.setdefault(user, set()).add(used)
    found = [[reason for pair in why if set(pair) <= circle
              and pair[0] != pair[1] for reason in why[pair]]
             for circle in circles(uses)]
    assert not found, "\n\n".join("\n".join(reasons) for reasons in found)


def reads(name, seen):
    """All that a file includes, by others, too."""
    path = BUILD / "libpcap" / name
    text = FILES.get(name) or path.exists() and path.read_text()
    for header in included(text or ""):
        if header not in seen:
            seen.add(header)
            reads(header, seen)
    return seen


def test_who_knows_libpcaps_inside():
    assert {name for name in FILES
            if "pcap-int.h" in reads(name, set())} - INTERNAL == set()


def test_who_knows_the_kernels_events(objects):
    assert {name: headers for name in FILES if name != EVENTS_FILE
            and (headers := [h for h in included(FILES[name])
                             if re.search(EVENTS, h)])} == {}
    assert {name: calls for name, (_, undefined) in objects.items()
            if name != EVENTS_FILE and
            (calls := sorted(s for s in undefined
                             if re.match(EVENTS, s)))} == {}
    assert {name for name, (_, undefined) in objects.items()
            if "signalfd" in undefined} <= {SIGNALS_FILE}


def functions(text):
    """Name, and lines from the one with the name to the last brace."""
    lines = without_comments(text).splitlines()
    names = [(i, m[1]) for i, line in enumerate(lines)
             if (m := re.match(r"(?:\w[\w *]*[ *])?(\w+)\(", line))]
    for last in (i for i, line in enumerate(lines) if line == "}"):
        first, name = max(n for n in names if n[0] < last)
        yield name, last - first + 1


def test_no_file_is_long():
    assert {name: n for name, text in FILES.items()
            if (n := text.count("\n")) > LINES} == {}


def test_no_function_is_long():
    assert {(name, function): n for name, text in FILES.items()
            for function, n in functions(text) if n > FUNCTION} == {}


def test_the_module_is_small():
    """Comments and blank lines do not count."""
    assert sum(1 for text in FILES.values()
               for line in without_comments(text).splitlines()
               if line.strip()) <= MODULE


def test_the_code_map_names_every_file():
    """And no other."""
    text = (SOURCE / "HACKING.md").read_text()
    code_map = re.search(r"(?ms)^## Code map$(.*?)^## ", text)[1]
    assert set(re.findall(r"`(pcap-tcp[\w-]*\.[ch])`", code_map)) == set(FILES)
