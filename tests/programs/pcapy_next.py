"""-i DEVICE | -r FILE [FILTER]: a line per packet."""
import sys

import pcapy

how, name = sys.argv[1:3]
reader = pcapy.open_offline(name) if how == "-r" else \
    pcapy.open_live(name, 65535, True, 100)
if sys.argv[3:]:
    reader.setfilter(sys.argv[3])
while True:
    header, data = reader.next()
    if header is not None:
        print("P", *header.getts(), header.getcaplen(), flush=True)
    elif how == "-r":
        break
