# -i DEVICE | -r FILE [FILTER]: a line per packet.
require "pcaprub"

how, name, filter = ARGV
capture = how == "-r" ? PCAPRUB::Pcap.open_offline(name) :
  PCAPRUB::Pcap.open_live(name, 65535, true, 100)
capture.setfilter(filter) if filter
$stdout.sync = true
capture.each_packet do |packet|
  puts "P #{packet.time}.#{packet.microsec} #{packet.length}"
end
