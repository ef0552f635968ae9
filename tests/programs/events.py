"""The events of Suricata's eve.json that are about packets, without what
differs from run to run by its nature."""
import json
import sys

RUN = "flow_id", "capture_file", "in_iface", "pcap_cnt", "pcap_filename"
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["event_type"] in ("alert", "dns", "http", "tls"):
        print(json.dumps({k: v for k, v in event.items() if k not in RUN},
                         sort_keys=True))
