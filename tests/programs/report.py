"""What check-programs found, as lines for a terminal and as a page."""

COLUMNS = (
    ("opens", "opens"), ("same", "same packets"), ("filter", "filter"),
    ("end", "end of stream"), ("cpu", "idle CPU"), ("int", "SIGINT"),
    ("term", "SIGTERM"), ("int opening", "SIGINT, opening"),
    ("term opening", "SIGTERM, opening"), ("user", "user"),
    ("refused", "refused"), ("restart", "restart"))


def marks(found, quick, idle):
    """True, False, or None where there is nothing to judge."""
    judged = {}
    for key in ("opens", "same", "filter", "user", "refused", "restart"):
        if key in found:
            value = found[key]
            judged[key] = None if value is None else \
                value is True or value == "read"
    if "end" in found:
        judged["end"] = not found["end"].startswith("spins")
    if "cpu" in found:
        judged["cpu"] = found["cpu"] < idle
    for key in ("int", "term", "int opening", "term opening"):
        if key in found:
            judged[key] = found[key] is not None and found[key] <= quick
    # What a program does on a real interface, too, is its own.
    if judged.get("cpu") is False and \
            found.get("cpu on lo", 0) > found["cpu"] * 0.7:
        judged["cpu"] = None
    for key in ("int", "term"):
        if judged.get(key) is False and f"{key} on lo" in found:
            there = found[f"{key} on lo"]
            if there is None or there > quick:
                judged[key] = None
    return judged


def _number(found, key):
    value = found[key]
    if key.startswith("cpu"):
        return f"{value:.1f} %"
    return "over 8 s" if value is None else f"{value:.1f} s"


def cell(found, judged, key):
    if key not in judged:
        return ""
    value = found[key]
    if value is None and key == "filter":
        return "–"
    if key == "end":
        return value
    if key == "cpu" or key.startswith(("int", "term")):
        text = _number(found, key)
        if f"{key} on lo" in found:
            text += f" (on lo: {_number(found, key + ' on lo')})"
        return text
    if value == "read":
        return "read"
    return "yes" if judged[key] else "**no**"


def console(checks, missing, verbose):
    for c in checks:
        row = " ".join(f"{key}={cell(c.found, c.marks, key)}"
                       for key, _ in COLUMNS if key in c.marks)
        print(f"{'FAILED' if c.worse else 'ok'}\t{c.program['name']}: {row}"
              + (f" | worse: {', '.join(c.worse)}" if c.worse else "")
              + (f" | better: {', '.join(c.better)}" if c.better else "")
              + (f" | {c.found['facts']}" if c.found.get("facts") else ""))
        if verbose:
            for text in c.said[:1] + c.said[-2:]:
                print("  >", "\n  > ".join(text.splitlines()[:5]))
            for output in [c.reference] + c.outputs:
                print("  =", None if output is None else
                      (len(output), [x[:70] for x in output[:2] + output[-1:]]))
    for p in missing:
        print(f"skipped\t{p['name']}: {' '.join(p['missing'])}")


HEAD = """# Does it work with my program?

`make check-programs` has made this page: it runs each program below, as
Debian ships it and with nothing changed but the library, on the device of a
live sender on loopback ({count} packets, {size} KB), and writes down what it
measures. All of it ran as an ordinary user, but for the programs marked
*root* in the last table, which demand that themselves.

| column | yes means |
|---|---|
| opens | the device opens and all bytes of the stream are read |
| same packets | its output is the one that it makes of the file, or the known right one; *read*: it has no comparable output |
| filter | the same with a filter of its own; –: it has none |
| end of stream | when the sender leaves: *ends*, with this exit status, or *goes on* as on a silent interface |
| idle CPU | of one processor, when no packets come |
| SIGINT, SIGTERM | seconds to end by it, when no packets come |
| ..., opening | the same while a server takes the connection and is silent |
| user | it works as an ordinary user |
| refused | a closed port: it shows "cannot connect to HOST:PORT: Connection refused" |
| restart | with `,reconnect=yes` the sender leaves, and comes back after 1.5 s: the program reads on, and does not spin meanwhile |

*on lo* is the same program on the interface lo, where it does no better.

"""


def _table(head, rows):
    return "".join("| " + " | ".join(row) + " |\n" for row in
                   [head, ["---"] * len(head), *rows]) + "\n"


def _notes(checks):
    """Every mark that is no yes, with the reason."""
    for c in checks:
        p = c.program
        for mark, good in c.marks.items():
            if good is not False:
                continue
            why = p.get("known", {}).get(mark, (
                None, "over a second by less than half of one"
                if c.nearly(mark) else "not expected"))[1]
            quote = c.quotes.get(mark)
            facts = c.found.get("facts") if mark == "opens" else None
            yield [p["name"], dict(COLUMNS)[mark],
                   "; ".join(filter(None, (quote and f"`{quote}`", facts))),
                   why]


def _named(checks):
    for c in checks:
        name, why = c.program.get("named") or c.program.get("cuts", (0, 0))
        if name:
            yield [c.program["name"], f"`{name}`", why + (
                "" if "named" in c.program else ": so where options are given")]


LINKED = """## Other link types

What the programs make of the same packets as `tcpdump -i any` sends them
(LINUX_SLL2), and of raw IP: without an option, and with `linktype=EN10MB`, by
which the device's packets are Ethernet. *yes* is the output that it makes of the
Ethernet file, but for addresses of Ethernet; without the option, as many lines or
events. Programs that have no comparable output need only read all of it: they may
ignore each packet. Raw IP has no ARP, which is all that arpwatch reads.

"""


def _linked(checks, links):
    for c in checks:
        if links[0] in c.found:
            yield [c.program["name"]] + [
                "yes" if good else "**no**" for link in links
                for good in c.found[link]]


def linked(checks, links):
    """The section of link types."""
    return LINKED + _table(
        ["program"] + [title for link in links for title in (
            link, f"{link}, `linktype=EN10MB`")], _linked(checks, links))


def page(checks, count, size, system, links):
    """The page of all of them."""
    text = HEAD.format(count=count, size=size // 1000)
    text += _table(["program"] + [title for _, title in COLUMNS],
                   [[c.program["name"]] + [cell(c.found, c.marks, key)
                                           for key, _ in COLUMNS]
                    for c in checks])
    text += "## What does not work, and why\n\n"
    text += _table(["program", "what", "measured", "why, and what helps"],
                   list(_notes(checks)))
    text += linked(checks, links)
    text += "## Named devices\n\nThese programs read DEV by a name for it in "
    text += "$PCAP_TCP_DEVICES.\n\n"
    text += _table(["program", "name", "why"], list(_named(checks)))
    text += f"## Commands\n\nOn {system}. DEV is the device's name.\n\n"
    text += _table(
        ["program", "package", "command, [its filter]"],
        [[c.program["name"], c.program["shown"],
          ("*root* " if c.program.get("root") is True else "") + "`" +
          c.program["run"].replace("[[", "[").replace("]]", "]")
          .replace("|", "\\|") + "`"] for c in checks])
    return text.rstrip("\n") + "\n"
