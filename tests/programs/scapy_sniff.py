"""-i DEVICE | -r FILE [FILTER]: a line per packet."""
import sys

from scapy.all import conf, sniff

conf.use_pcap = True
how, name = sys.argv[1:3]
sniff(**{"iface" if how == "-i" else "offline": name},
      filter=sys.argv[3] if sys.argv[3:] else None, store=False,
      prn=lambda packet: print("P", float(packet.time), len(packet),
                               flush=True))
