# -i DEVICE | -r FILE [FILTER]: a line per packet.
use strict;
use Net::Pcap;

my ($how, $name, $filter) = @ARGV;
my $error;
$| = 1;
my $pcap = $how eq "-r" ? Net::Pcap::open_offline($name, \$error) :
    Net::Pcap::open_live($name, 65535, 1, 100, \$error);
die "$error\n" unless defined $pcap;
if (defined $filter) {
	my $program;
	Net::Pcap::compile($pcap, \$program, $filter, 1, 0);
	Net::Pcap::setfilter($pcap, $program);
}
my $status = Net::Pcap::loop($pcap, -1, sub {
	my ($user, $header, $packet) = @_;
	print "P $header->{tv_sec}.$header->{tv_usec} $header->{caplen}\n";
}, "");
print "END $status\n";
