// gopacket.go: -i DEVICE | -r FILE [FILTER]: a line per packet.
package main

import (
	"fmt"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcap"
)

func main() {
	var handle *pcap.Handle
	var err error
	if os.Args[1] == "-r" {
		handle, err = pcap.OpenOffline(os.Args[2])
	} else {
		handle, err = pcap.OpenLive(os.Args[2], 65536, true,
			pcap.BlockForever)
	}
	if err == nil && len(os.Args) > 3 {
		err = handle.SetBPFFilter(os.Args[3])
	}
	if err != nil {
		fmt.Println("gopacket:", err)
		os.Exit(1)
	}
	source := gopacket.NewPacketSource(handle, handle.LinkType())
	for packet := range source.Packets() {
		m := packet.Metadata()
		fmt.Println("P", m.Timestamp.UnixMicro(), m.CaptureLength)
	}
}
