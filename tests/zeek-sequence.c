/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * zeek-sequence DEVICE - makes the libpcap calls that Zeek's packet source
 * makes (src/iosource/pcap/Source.cc: OpenLive, ExtractNextPacket, Statistics;
 * Manager.cc for the loop), in its order, with its idea of what is an error:
 *
 *	OPEN dlt= netmask=	or FATAL and what Zeek says before it ends
 *	ERROR TEXT		reporter->Error(); Zeek goes on
 *	CLOSED			the source is done, and Zeek with it
 *	STATS packets= bytes= recv= drop= rounds=
 *				at the end, and for each SIGUSR1
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <pcap/pcap.h>

#define SNAPLEN		9216		/* Pcap::snaplen */
#define BUFSIZE		(128 << 20)	/* Pcap::bufsize, in MiB there */

static pcap_t *pd;
static long packets, bytes, rounds;
static volatile sig_atomic_t asked, terminating;

static void
fatal(const char *call, const char *text)
{
	printf("FATAL problem with interface: %s: %s\n", call, text);
	exit(1);
}

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		asked = 1;
	else
		terminating = 1;
}

static bpf_u_int32
open_live(const char *path)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	bpf_u_int32 net, netmask;

	if (pcap_lookupnet(path, &net, &netmask, errbuf) < 0)
		netmask = 0xffffff00;
	pd = pcap_create(path, errbuf);
	if (pd == NULL)
		fatal("pcap_create", errbuf);
	if (pcap_set_snaplen(pd, SNAPLEN) != 0)
		fatal("pcap_set_snaplen", pcap_geterr(pd));
	if (pcap_set_promisc(pd, 1) != 0)
		fatal("pcap_set_promisc", pcap_geterr(pd));
	if (pcap_set_timeout(pd, 1) != 0)
		fatal("pcap_set_timeout", pcap_geterr(pd));
	if (pcap_set_buffer_size(pd, BUFSIZE) != 0)
		fatal("pcap_set_buffer_size", pcap_geterr(pd));
	/* A warning is as bad as an error here. */
	if (pcap_activate(pd) != 0)
		fatal("pcap_activate", pcap_geterr(pd));
	if (pcap_setnonblock(pd, 1, errbuf) < 0)
		fatal("pcap_setnonblock", errbuf);
	return (netmask);
}

static void
set_filter(bpf_u_int32 netmask)
{
	struct bpf_program program;

	if (pcap_compile(pd, &program, "", 1, netmask) < 0 ||
	    pcap_setfilter(pd, &program) < 0)
		fatal("filter", pcap_geterr(pd));
	pcap_freecode(&program);
}

/* Returns 0 when the source has closed itself. */
static int
extract_next_packet(void)
{
	struct pcap_pkthdr *header;
	const u_char *data;

	switch (pcap_next_ex(pd, &header, &data)) {

	case PCAP_ERROR_BREAK:
		return (0);

	case PCAP_ERROR:
		printf("ERROR failed to read a packet: %s\n", pcap_geterr(pd));
		return (1);

	case 0:
		return (1);

	default:
		if (header->len == 0 || header->caplen == 0)
			printf("ERROR empty_pcap_header\n");
		packets++;
		bytes += header->len;
		return (1);
	}
}

static void
statistics(void)
{
	struct pcap_stat ps;

	if (pcap_stats(pd, &ps) < 0)
		printf("ERROR problem getting packet filter statistics: %s\n",
		    pcap_geterr(pd));
	printf("STATS packets=%ld bytes=%ld recv=%u drop=%u rounds=%ld\n",
	    packets, bytes, ps.ps_recv, ps.ps_drop, rounds);
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct epoll_event event = { .events = EPOLLIN };
	bpf_u_int32 netmask;
	int open = 1, fd, queue;

	if (argc != 2)
		return (2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	netmask = open_live(argv[1]);
	fd = pcap_get_selectable_fd(pd);
	printf("OPEN dlt=%d netmask=%x\n", pcap_datalink(pd), netmask);
	set_filter(netmask);
	if (fd == -1)
		fatal("pcap_get_selectable_fd", "none");
	/* Once, for as long as the source is open. */
	queue = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == -1)
		fatal("epoll_ctl", "failed");
	while (open && !terminating) {
		rounds++;
		/* Zeek looks at its timers ten times a second. */
		if (epoll_wait(queue, &event, 1, 100) == 1)
			open = extract_next_packet();
		if (asked) {
			asked = 0;
			statistics();
		}
	}
	if (!open)
		printf("CLOSED\n");
	statistics();
	pcap_close(pd);
	return (0);
}
