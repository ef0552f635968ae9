"""draw.py CSV SVG - draws what bench.py has measured: packets of 64 bytes, how
many a second, and what each costs."""

import csv
import sys

try:
    import matplotlib
except ImportError:
    sys.exit("no picture: python3-matplotlib is not here")

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

OURS, OTHERS, BARE = "#1a7f37", "#8c959f", "#d0d7de"
# From the bare minimum to what people do today.
WAYS = [
    ("recv()", "a bare recv() loop", BARE),
    ("device, pcap_loop", "tcp:, pcap_loop", OURS),
    ("device, pcap_next_ex", "tcp:, pcap_next_ex", OURS),
    ("device, tcpdump -w", "tcp:, tcpdump -w", OURS),
    ("file, pcap_loop", "a file, pcap_loop", OTHERS),
    ("nc \\| pcap_loop", "nc | pcap_loop", OTHERS),
    ("nc \\| tcpdump -w", "nc | tcpdump -w", OTHERS),
    ("nc \\| tcpreplay, pcap_loop", "nc | tcpreplay, an interface", OTHERS),
    ("dumpcap TCP@", "dumpcap -i TCP@", OTHERS),
]


def read(path):
    with open(path, newline="") as file:
        return {row["way"]: row for row in csv.DictReader(file)
                if row["part"] == "throughput" and row["packet"] == "64" and
                row["filter"] == "none"}


def bars(axes, ways, values, title):
    axes.barh([name for _, name, _ in ways], values,
              color=[color for _, _, color in ways])
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 3)
    axes.xaxis.set_visible(False)
    for place, value in enumerate(values):
        text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        axes.text(value * 1.06, place, text, va="center", fontsize=9)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def main():
    rows = read(sys.argv[1])
    ways = [way for way in reversed(WAYS) if way[0] in rows]
    plt.rcParams.update({"svg.hashsalt": "pcap-tcp", "svg.fonttype": "none",
                         "font.family": "sans-serif", "font.size": 10})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4),
                                         sharey=True)
    bars(left, ways, [float(rows[w]["mpackets_s"]) for w, _, _ in ways],
         "million packets a second")
    bars(right, ways, [float(rows[w]["cpu_ns"]) for w, _, _ in ways],
         "CPU a packet, ns")
    figure.text(0.01, 0.01, "64 bytes a packet; logarithmic; sender on "
                "another CPU", fontsize=8, color="#57606a")
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
