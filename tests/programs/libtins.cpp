// libtins.cpp: -i DEVICE | -r FILE [FILTER]: a line per packet.
#include <iostream>
#include <memory>
#include <tins/tins.h>

int main(int, char **argv)
{
	const std::string how = argv[1], filter = argv[3] ? argv[3] : "";
	std::unique_ptr<Tins::BaseSniffer> sniffer;

	try {
		if (how == "-r")
			sniffer.reset(new Tins::FileSniffer(argv[2], filter));
		else {
			Tins::SnifferConfiguration config;
			config.set_filter(filter);
			config.set_immediate_mode(true);
			sniffer.reset(new Tins::Sniffer(argv[2], config));
		}
	} catch (const std::exception &e) {
		std::cerr << "libtins: " << e.what() << std::endl;
		return 1;
	}
	sniffer->sniff_loop([](const Tins::Packet &packet) {
		std::cout << "P " << packet.timestamp().seconds() << "." <<
		    packet.timestamp().microseconds() << " " <<
		    packet.pdu()->size() << std::endl;
		return true;
	});
	return 0;
}
