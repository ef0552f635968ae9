"""The programs of check-programs, and what is expected of them.

name, packages     the first package's version is told
run                the command; DEV is the device, PORT a free port, DIR the
                   run's own folder, which is where it runs; [[...]] is its own
                   filter, left out but in the run that is about filters
offline            the command that reads FILE; its result has to be the same
post               the result is what this prints afterwards, not the output
pick, last         the lines (or groups) of the result that count; the last
version            prints it, where no installed package has it
expect             instead of offline: the lines, (without, with the filter)
setup, build       done before each run; once, into the folder BIN
terminal, root     it needs a terminal; it demands to be root ("caps": what
                   runs it does, itself it is an ordinary user's)
fresh              it takes no notice of packets that are 40 s old
takes              seconds that it needs longer to end by itself
named              it wants a named device: (its name, why)
cuts               the same, but only where options are needed
known              what cannot work, by mark: (what the program itself says of
                   it, a pattern that is checked, or None; why and what helps)
"""

HELPER = r"^P\s.*$"
SERVER = "02:00:00:00:00:50\t198.51.100.80"
STATION = "02:00:00:00:00:%02x\t198.51.100.%d"

NIDS = (r"libnet_open_raw4\(\).*not permitted|.*Bad file descriptor",
        "libnids opens a raw socket")

THREAD = (None, "one thread opens the device and another takes signals: it "
          "ends at once or, at the latest, at timeout=N")

LAZY = (None, "opens a named device, which connects at the first read, and "
        "shows no error of that")

LIST = "lo", "has a list of interfaces of its own"

STOPS = (None, "looks for a stop only now and then")

CAPPED = "wireshark-common libcap2-bin util-linux"

PROGRAMS = [
    dict(name="tcpdump", packages="tcpdump",
         run="tcpdump -n -l -tt -i DEV [[port 53]]",
         offline="tcpdump -n -tt -r FILE [[port 53]]",
         pick=r"^\d+\.\d+ .*$"),
    dict(name="tshark", packages="tshark",
         run="tshark -n -l -T fields -e frame.time_epoch -e frame.len "
             "-e _ws.col.Info -i DEV [[-f 'port 53']]",
         offline="tshark -n -T fields -e frame.time_epoch -e frame.len "
                 "-e _ws.col.Info -r FILE [[-Y 'udp.port == 53']]",
         pick=r"^\d+\.\d+\t.*$"),
    dict(name="dumpcap", packages="wireshark-common",
         run="dumpcap -q -i DEV [[-f 'port 53']] -w out.pcapng",
         post="tcpdump -n -tt -r out.pcapng",
         offline="tcpdump -n -w out.pcapng -r FILE [[port 53]]"),
    dict(name="dumpcap with file capabilities", packages=CAPPED, root="caps",
         run="sh SRC/capped.sh path LIB -q -i DEV -w out.pcapng",
         known={"opens": (r"There is no device named.*", "the linker takes no "
                          "LD_LIBRARY_PATH from the user there: the library "
                          "has to be installed, see the next line")}),
    dict(name="the same, library installed", packages=CAPPED, root="caps",
         run="unshare -m sh SRC/capped.sh installed LIB -q -i DEV "
             "[[-f 'port 53']] -w out.pcapng",
         post="tcpdump -n -tt -r out.pcapng",
         offline="tcpdump -n -w out.pcapng -r FILE [[port 53]]"),
    dict(name="ngrep", packages="ngrep",
         run="ngrep -q -l -d DEV '' [[udp port 53]]",
         offline="ngrep -q -I FILE '' [[udp port 53]]", pick="^[TUI] .*$"),
    dict(name="p0f", packages="p0f",
         run="p0f -i DEV [['port 80']]",
         offline="p0f -r FILE [['port 80']]", pick=r"^[.|].*$"),
    dict(name="tcpflow", packages="tcpflow-nox",
         run="tcpflow -i DEV -o out [[port 80]]",
         offline="tcpflow -r FILE -o out [[port 80]]",
         post="cd out && md5sum *.*-*.*"),
    dict(name="argus", packages="argus-server argus-client",
         named=("lo", "asks the kernel for the flags of an interface of this "
                "name, and ends silently if there is none"),
         known={"refused": LAZY},
         run="argus -X -i DEV -w out.argus [[- port 53]]",
         offline="argus -X -r FILE -w out.argus [[- port 53]]",
         fresh=True,
         # Its own records (man) count by the clock.
         post="ra -n -r out.argus -s proto saddr sport daddr dport pkts "
              "- not man"),
    dict(name="softflowd", packages="softflowd",
         run="softflowd -d -D -c DIR/ctl -p DIR/pid -i 0:DEV [[port 53]]",
         offline="softflowd -d -D -c DIR/ctl -p DIR/pid -r FILE [[port 53]]",
         pick=r"ADD FLOW seq:\d+ \S+ <> \S+ proto:\d+"),
    dict(name="nfpcapd", packages="nfdump", root=True,
         setup="mkdir flows", run="nfpcapd -i DEV -w DIR/flows",
         known={"opens": (None, "has a packet socket of its own and captures "
                          "on ALL interfaces if there is none of this name: "
                          "nothing helps; nfpcapd -r reads files")}),
    dict(name="darkstat", packages="darkstat", root=True,
         known={"user": (None, "a check of its own")},
         run="darkstat -i DEV --no-daemon -p PORT -b 127.0.0.1 --no-dns "
             "--chroot DIR --user root [[-f 'port 53']]"),
    dict(name="sngrep", packages="sngrep",
         cuts=("stream", "cuts a name at the first comma"),
         run="sngrep -N -d DEV -O out.pcap [[host 198.51.100.3]]",
         offline="sngrep -N -I FILE -O out.pcap [[host 198.51.100.3]]",
         post="tcpdump -n -tt -r out.pcap"),
    dict(name="dnscap", packages="dnscap",
         run="dnscap -N -g -i DEV", offline="dnscap -g -r FILE",
         pick=r"^\[\d+\] [-\d]+ [\d:.]+|^\t.*$",
         known={"refused": (r"dnscap: .*Generic error.*",
                            "prints the status, not libpcap's text")}),
    dict(name="dnstop", packages="dnstop", terminal=True,
         run="dnstop -l 3 DEV [[-b 'host 198.51.100.3']]"),
    dict(name="dnsjit", packages="dnsjit",
         run="dnsjit SRC/dnsjit_pcap.lua -i DEV",
         offline="dnsjit SRC/dnsjit_pcap.lua -r FILE", pick=HELPER,
         known={"refused": (None, "gives its script a status, no text")}),
    dict(name="arpwatch", packages="arpwatch", setup=": > arp.dat",
         run="arpwatch -d -N -i DEV -f arp.dat",
         post="cut -f 1-2 arp.dat", pick=r"^\S+\t\S+$",
         expect=([STATION % (n, n) for n in range(1, 9)] + [SERVER],
                 None),
         known={"refused": (None, "tells the system's log only")}),
    dict(name="ssldump", packages="ssldump",
         run="ssldump -n -i DEV [[port 443]]",
         offline="ssldump -n -r FILE [[port 443]]"),
    dict(name="dsniff", packages="dsniff", root=True,
         run="dsniff -n -i DEV [[host 198.51.100.3]]",
         offline="dsniff -n -p FILE [[host 198.51.100.3]]",
         pick=r"^USER.*$|^PASS.*$", known={"user": NIDS}),
    dict(name="urlsnarf", packages="dsniff", root=True,
         run="urlsnarf -n -i DEV", offline="urlsnarf -n -p FILE",
         pick=r'GET \S+', known={"user": NIDS}),
    dict(name="tcptrack", packages="tcptrack", terminal=True,
         run="tcptrack -i DEV [['port 80']]",
         known={"int opening": THREAD}),
    dict(name="prads", packages="prads",
         run="prads -i DEV -l out [[-b 'port 80']]",
         offline="prads -r FILE -l out [[-b 'port 80']]",
         post="cut -d, -f1-6 out"),
    dict(name="pmacctd", packages="pmacct", root=True,
         setup="printf '%s\\n' 'daemonize: false' 'plugins: print' "
               "'aggregate: proto' 'print_refresh_time: 1' "
               "'print_output: csv' [['pcap_filter: port 53']] > pm.conf",
         run="pmacctd -f pm.conf -i DEV",
         known={"user": (r".*superuser.*", "a check of its own")}),
    dict(name="fprobe", packages="fprobe",
         known={"term": (None, "ends at the next tick of its own timer")},
         run="fprobe -l 2 -i DEV [[-f 'port 53']] 127.0.0.1:PORT"),
    dict(name="sniffglue", packages="sniffglue", run="sniffglue -vvvv DEV",
         offline="sniffglue -vvvv -r FILE",
         known={"opens": (None, "its sandbox kills it at the first system "
                          "call that a capture on an interface does not "
                          "make (epoll_create1): see the next line")}),
    dict(name="sniffglue without its sandbox", packages="sniffglue",
         run="sniffglue --insecure-disable-seccomp -n 1 -vvvv DEV",
         offline="sniffglue --insecure-disable-seccomp -n 1 -vvvv -r FILE",
         pick=r"^\S+ -> .*$"),
    dict(name="httpry", packages="httpry",
         run="httpry -F -i DEV [['host 198.51.100.3']]",
         offline="httpry -F -r FILE [['host 198.51.100.3']]",
         pick=r"^\d{4}-.*$"),
    dict(name="tcpick", packages="tcpick",
         run="tcpick -i DEV [['port 80']]",
         offline="tcpick -r FILE [['port 80']]", pick=r"^\d+ +\S+ +\S+ .*$"),
    dict(name="capstats", packages="capstats",
         run="capstats -I 1 -i DEV [[-f 'port 53']]"),
    dict(name="daemonlogger", packages="daemonlogger",
         run="daemonlogger -i DEV -l DIR [[port 53]]",
         post="cat daemonlogger.pcap* | tcpdump -n -tt -r -",
         offline="tcpdump -n -w daemonlogger.pcap -r FILE [[port 53]]"),
    dict(name="iftop", packages="iftop", terminal=True,
         run="iftop -n -t -i DEV [[-f 'port 53']]",
         known={"int opening": THREAD}),
    dict(name="nethogs", packages="nethogs", named=LIST,
         run="nethogs -t -a DEV",
         known={"refused": (r"Error opening handler for device lo",
                            "prints the name, not libpcap's text")}),
    dict(name="ipband", packages="ipband",
         run="ipband -C -d 3 -a 2 DEV [[-f 'port 53']]"),
    dict(name="ettercap", packages="ettercap-text-only", terminal=True,
         run="ettercap -T -q -u -i DEV [[-f 'host 198.51.100.3']]",
         expect=(["FTP user%d" % n for n in range(10)] +
                 ["HTTP user%d" % n for n in range(60)],
                 ["FTP user2", "HTTP user2", "HTTP user22", "HTTP user42"]),
         pick=r"^(HTTP|FTP) : \S+ -> USER: (\S+)"),
    dict(name="driftnet", packages="driftnet", setup="mkdir pictures",
         run="driftnet -a -d DIR/pictures -i DEV [['host 198.51.100.1']]",
         post="ls pictures | wc -l", pick=r"^\d+$", expect=(["6"], ["3"]),
         known={"refused": (r"error: pcap_activate: Generic error",
                            "prints the status, not libpcap's text")}),
    dict(name="sipgrep", packages="sipgrep", terminal=True,
         run="sipgrep -R -C -l -d DEV [['INVITE' 'host 198.51.100.3']]",
         offline="sipgrep -R -C -l -I FILE [['INVITE' 'host 198.51.100.3']]",
         pick=r"^\S+ sip:\S+ SIP/2.0|^SIP/2.0 .*$"),
    dict(name="jnettop", packages="jnettop", takes=10,
         run="jnettop -n -i DEV --display text -t 60 [[-x 'port 53']]",
         known={"refused": (None, "says nothing at all")}),
    dict(name="pcapdump", packages="pcaputils",
         run="pcapdump -i DEV -u $(id -un) -g $(id -gn) [[-f 'port 53']] "
             "-w DIR/out.pcap",
         post="tcpdump -n -tt -r out.pcap*",
         offline="tcpdump -n -w out.pcap -r FILE [[port 53]]"),
    dict(name="knockd", packages="knockd",
         cuts=("stream", "cuts a name at 31 characters"),
         setup="printf '[knock]\\nsequence = 7000,8000,9000\\n"
               "seq_timeout = 30\\ntcpflags = syn\\n"
               "target = 198.51.100.80\\n"
               "command = echo %%IP%% >> DIR/opened\\n' > knockd.conf",
         run="knockd -i DEV -v -c knockd.conf -g DIR/log -p DIR/pid",
         post="cat opened", pick=r"^\S+$", expect=(["198.51.100.9"], None)),
    dict(name="tcpxtract", packages="tcpxtract",
         setup="mkdir out", run="tcpxtract -d DEV -o out",
         offline="tcpxtract -f FILE -o out", post="cd out && md5sum *"),
    dict(name="collectd (dns plugin)", packages="collectd-core",
         setup="printf 'Interval 1\\nPIDFile \"DIR/pid\"\\nBaseDir \"DIR\"\\n"
               "LoadPlugin logfile\\n<Plugin logfile>\\nFile STDOUT\\n"
               "</Plugin>\\nLoadPlugin csv\\n<Plugin csv>\\n"
               "DataDir \"DIR/csv\"\\n</Plugin>\\nLoadPlugin dns\\n"
               "<Plugin dns>\\nInterface \"DEV\"\\n</Plugin>\\n' > c.conf",
         run="collectd -f -C c.conf"),
    dict(name="libtins (a program of ours)", packages="libtins-dev g++",
         build="g++ -o libtins SRC/libtins.cpp -ltins",
         run="BIN/libtins -i DEV [['port 53']]",
         offline="BIN/libtins -r FILE [['port 53']]", pick=HELPER),
    dict(name="scapy", packages="python3-scapy",
         run="/usr/bin/python3 SRC/scapy_sniff.py -i DEV [['port 53']]",
         offline="/usr/bin/python3 SRC/scapy_sniff.py -r FILE [['port 53']]",
         pick=HELPER),
    dict(name="pcapy", packages="python3-pcapy",
         run="/usr/bin/python3 SRC/pcapy_next.py -i DEV [['port 53']]",
         offline="/usr/bin/python3 SRC/pcapy_next.py -r FILE [['port 53']]",
         pick=HELPER),
    dict(name="pcaprub", packages="ruby-pcaprub",
         run="ruby SRC/pcaprub_each.rb -i DEV [['port 53']]",
         offline="ruby SRC/pcaprub_each.rb -r FILE [['port 53']]",
         pick=HELPER),
    dict(name="Net::Pcap", packages="libnet-pcap-perl",
         run="perl SRC/netpcap.pl -i DEV [['port 53']]",
         offline="perl SRC/netpcap.pl -r FILE [['port 53']]", pick=HELPER),
    dict(name="radsniff", packages="freeradius-utils",
         run="radsniff -s testing123 -i DEV",
         offline="radsniff -s testing123 -I FILE",
         pick=r"(Access-\w+ Id \d+) \S*?"
              r"((?:\d+\.){3}\d+:\d+ .. (?:\d+\.){3}\d+:\d+)"),
    dict(name="snort's DAQ (a program of ours)", packages="libdaq-dev gcc",
         build="gcc -o daq -DDAQ_FOLDER='\"'$(dirname $(find /usr/lib -name "
               "daq_pcap.so))'\"' SRC/daq.c -ldaq -ldl",
         run="BIN/daq -i DEV [['port 53']]",
         offline="BIN/daq -r FILE [['port 53']]", pick=HELPER),
    dict(name="gopacket (a program of ours)",
         packages="golang-github-google-gopacket-dev golang-go gcc libpcap-dev",
         build="GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$PWD/cache "
               "go build -o gopacket SRC/gopacket.go",
         run="BIN/gopacket -i DEV [['port 53']]",
         offline="BIN/gopacket -r FILE [['port 53']]", pick=HELPER),
    dict(name="pktstat", packages="pktstat",
         run="pktstat -1 -n -w 60 -i DEV [[port 53]]"),
    dict(name="dhcpdump", packages="dhcpdump", run="dhcpdump -i DEV",
         expect=(["DHCPACK", "DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST"],
                 None), pick=r"DHCP message type +\d+ \((\w+)\)"),
    dict(name="dns-flood-detector", packages="dns-flood-detector",
         run="dns-flood-detector -b -v -v -i DEV",
         known={"refused": (None, "says nothing at all"),
                "cpu": (None, "polls")}),
    dict(name="tracepktdump (libtrace)", packages="libtrace-tools",
         run="tracepktdump [[-f 'port 53']] pcapint:DEV",
         offline="tracepktdump [[-f 'port 53']] pcapfile:FILE",
         pick=r"^ \w+:.*$",
         known={"cpu": (None, "asks for a read timeout of 1 ms and gets it: a "
                        "thousand reads a second")}),
    dict(name="tcpstat", packages="tcpstat",
         run="tcpstat -F -i DEV [[-f 'port 53']] 1"),
    dict(name="ipgrab", packages="ipgrab", run="ipgrab -m -i DEV [[port 53]]",
         offline="ipgrab -m -r FILE [[port 53]]",
         pick=r"^(\d+ \w{3} \w{3} .*? \d{4}) "),
    dict(name="pads", packages="pads", root=True, setup=": > assets",
         run="pads -w assets -i DEV [['port 80']]",
         offline="pads -w assets -r FILE [['port 80']]",
         post="cut -d, -f1-5 assets",
         known={"user": (r"Must be root!", "a check of its own")}),
    dict(name="bettercap", packages="bettercap", named=LIST,
         known={"refused": LAZY},
         run="bettercap -no-colors -iface DEV -eval 'net.sniff on'"),
    dict(name="nast", packages="nast", root=True, run="nast -i DEV",
         named=("lo", "libnet asks the kernel for the interface"),
         known={"user": (r"You must be root.*", "a check of its own"),
                "refused": LAZY}),
    dict(name="netsniff-ng", packages="netsniff-ng", root=True,
         run="netsniff-ng --in DEV",
         known={"opens": (r"Cannot open file tcp:.*", "captures without "
                          "libpcap: nothing helps")}),
    dict(name="suricata", packages="libyaml-0-2",
         version="cat BIN/suricata/version",
         build="ROOT/tools/get-suricata suricata && cp SRC/suricata.sh "
               "SRC/events.py suricata",
         run="sh BIN/suricata/suricata.sh --pcap=DEV [[port 53]]",
         offline="sh BIN/suricata/suricata.sh -r FILE [[port 53]]",
         post="python3 SRC/events.py eve.json",
         known={"int opening": THREAD, "term opening": THREAD,
                "int": STOPS, "term": STOPS}),
]
