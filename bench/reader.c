/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * reader WAY SOURCE [ARGUMENT] - reads packets in one of the ways that
 * programs do and says what it cost: packets, seconds, CPU seconds (user and
 * system), from before it opens SOURCE to the stream's end
 *
 *	recv		SOURCE is a port: bytes, without libpcap, into a buffer
 *			of so many KiB; a number more: from so many
 *			connections in turn, whose buffers are full each time
 *	walk		the same, and the length of each packet
 *	loop next_ex	SOURCE is a device, or a file ("-": standard input);
 *			ARGUMENT is a filter
 *	select epoll	SOURCE is a device: non-blocking; all packets at a
 *			wake-up by pcap_dispatch(-1), or one by pcap_next_ex()
 *	slow		like loop, with a callback that takes 2 microseconds
 *	interface	SOURCE is a network interface; it says so when it is
 *			open, SIGINT ends it, and the seconds are those between
 *			the first packet and the last; interface-slow: with
 *			such a callback
 *	latency-recv latency-loop latency-epoll
 *			the same, and a line more: microseconds since the time
 *			in the packet, the median's, the 99th percentile's and
 *			the most.  latency-loop takes "-", too, and SIGINT ends
 *			it
 *	handles		opens SOURCE, a device, so many times, and reads a
 *			packet of each
 *	idle		reads so many packets from SOURCE, a device, and says
 *			how many KiB of memory it has more than before
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "clock.h"

#define STAMP		14		/* where a packet has its time */
#define MAX_DELAYS	1000000
#define WORK		2000		/* ns a packet of a slow reader */

static long packets;
static int64_t *delays;			/* of each packet, ns */
static pcap_t *capture;
static struct timeval first, last;	/* packets on an interface */

static void
fail(const char *what)
{
	fprintf(stderr, "reader: %s\n", what);
	exit(1);
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	(void)h;
	(void)data;
	packets++;
}

/* A program that does something with its packets. */
static void
on_packet_slowly(u_char *user, const struct pcap_pkthdr *h,
    const u_char *data)
{
	int64_t until = nanoseconds() + WORK;

	on_packet(user, h, data);
	while (nanoseconds() < until)
		;
}

static void
note_delay(const u_char *data)
{
	int64_t sent, now = nanoseconds();

	memcpy(&sent, data + STAMP, sizeof(sent));
	if (packets < MAX_DELAYS)
		delays[packets++] = now - sent;
}

static void
on_stamped_packet(u_char *user, const struct pcap_pkthdr *h,
    const u_char *data)
{
	(void)user;
	(void)h;
	note_delay(data);
}

/* user: what else is done with it. */
static void
on_interface_packet(u_char *user, const struct pcap_pkthdr *h,
    const u_char *data)
{
	if (packets == 0)
		first = h->ts;
	last = h->ts;
	(*(pcap_handler *)user)(NULL, h, data);
}

static void
on_signal(int number)
{
	(void)number;
	pcap_breakloop(capture);
}

static int
open_socket(const char *port)
{
	struct sockaddr_in address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)atoi(port));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		fail("cannot connect");
	return (fd);
}

/* What any reader of TCP streams has to do at the least. */
static void
read_bytes(const char *port, size_t size, int n)
{
	char *buffers = malloc(size * (size_t)n);
	int *fds = malloc((size_t)n * sizeof(*fds));
	int i, left = n;

	for (i = 0; i < n; i++)
		fds[i] = open_socket(port);
	for (i = 0; left > 0; i = (i + 1) % n) {
		if (fds[i] == -1 || recv(fds[i], buffers + (size_t)i * size,
		    size, n > 1 ? MSG_WAITALL : 0) > 0)
			continue;
		close(fds[i]);
		fds[i] = -1;
		left--;
	}
	free(fds);
	free(buffers);
}

/*
 * And what any reader of packets has to do, as well as the device does it: one
 * says where the next one is.
 */
static void
walk_packets(const char *port, size_t size)
{
	const size_t header = 24, record_header = 16, length = 8;
	u_char *buffer = malloc(size);
	int fd = open_socket(port);
	size_t at, left = 0;
	uint32_t caplen;
	ssize_t n;

	if (recv(fd, buffer, header, MSG_WAITALL) != (ssize_t)header)
		fail("no header");
	while ((n = recv(fd, buffer + left, size - left, 0)) > 0) {
		left += (size_t)n;
		for (at = 0; left >= record_header; packets++) {
			__builtin_prefetch((void *)((uintptr_t)buffer + at + 512));
			memcpy(&caplen, buffer + at + length, sizeof(caplen));
			if (caplen > left - record_header)
				break;
			at += record_header + caplen;
			left -= record_header + caplen;
		}
		memmove(buffer, buffer + at, left);
	}
	free(buffer);
}

/* Bytes that are stamped packets: records are sent whole, and arrive so. */
static void
read_stamped_bytes(const char *port)
{
	static u_char buffer[256 * 1024];
	const ssize_t header = 24, record_header = 16, record = 16 + 64;
	int fd = open_socket(port);
	ssize_t n, at;

	if (recv(fd, buffer, header, MSG_WAITALL) != header)
		fail("no header");
	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		for (at = 0; at < n; at += record)
			note_delay(buffer + at + record_header);
	}
}

static void
read_next_ex(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	while (pcap_next_ex(capture, &h, &data) >= 0)
		packets++;
}

static void
read_select(void)
{
	int fd = pcap_get_selectable_fd(capture);
	fd_set fds;

	FD_ZERO(&fds);
	do {
		FD_SET(fd, &fds);
		select(fd + 1, &fds, NULL, NULL, NULL);
	} while (pcap_dispatch(capture, -1, on_packet, NULL) >= 0);
}

static void
read_epoll(int stamped)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(0), n;
	struct pcap_pkthdr *h;
	const u_char *data;

	epoll_ctl(set, EPOLL_CTL_ADD, pcap_get_selectable_fd(capture), &event);
	do {
		epoll_wait(set, &event, 1, -1);
		n = pcap_next_ex(capture, &h, &data);
		if (n == 1 && stamped)
			note_delay(data);
		else if (n == 1)
			packets++;
	} while (n >= 0);
}

static void
read_interface(pcap_handler handler)
{
	signal(SIGINT, on_signal);
	puts("open");
	fflush(stdout);
	pcap_loop(capture, -1, on_interface_packet, (u_char *)&handler);
}

/*
 * timeout: what a network interface may hold packets back for, in ms; without
 * one, the last ones would stay in a ring's block that never fills.
 */
static pcap_t *
open_capture(const char *source, const char *filter, int timeout)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	struct bpf_program program;
	int is_file = *source == '/' || strcmp(source, "-") == 0;
	pcap_t *p;

	p = is_file ? pcap_open_offline(source, errbuf) :
	    pcap_open_live(source, 65535, 0, timeout, errbuf);
	if (p == NULL)
		fail(errbuf);
	if (filter != NULL && (pcap_compile(p, &program, filter, 1,
	    PCAP_NETMASK_UNKNOWN) == -1 || pcap_setfilter(p, &program) == -1))
		fail(pcap_geterr(p));
	return (p);
}

static void
read_capture(const char *way, const char *source, const char *filter)
{
	int on_interface = strncmp(way, "interface", 9) == 0;
	char errbuf[PCAP_ERRBUF_SIZE];

	capture = open_capture(source, filter, on_interface ? 100 : 0);
	if (strcmp(way, "loop") == 0)
		pcap_loop(capture, -1, on_packet, NULL);
	else if (strcmp(way, "latency-loop") == 0) {
		signal(SIGINT, on_signal);
		pcap_loop(capture, -1, on_stamped_packet, NULL);
	} else if (strcmp(way, "slow") == 0)
		pcap_loop(capture, -1, on_packet_slowly, NULL);
	else if (on_interface)
		read_interface(strcmp(way, "interface") == 0 ? on_packet :
		    on_packet_slowly);
	else if (strcmp(way, "next_ex") == 0)
		read_next_ex();
	else {
		pcap_setnonblock(capture, 1, errbuf);
		if (strcmp(way, "select") == 0)
			read_select();
		else
			read_epoll(strcmp(way, "latency-epoll") == 0);
	}
}

static void
read_some(const char *source, long handles, long from_each)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	long n;
	int status;

	for (; handles > 0; handles--) {
		capture = open_capture(source, NULL, 0);
		for (n = 0; n < from_each; n += status) {
			status = pcap_next_ex(capture, &h, &data);
			if (status < 0)
				fail(pcap_geterr(capture));
		}
		packets += n;
	}
}

/* KiB of this process that are in memory. */
static long
resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, pages = 0;

	if (file == NULL || fscanf(file, "%ld %ld", &size, &pages) != 2)
		fail("no /proc/self/statm");
	fclose(file);
	return (pages * (sysconf(_SC_PAGESIZE) / 1024));
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x < y ? -1 : x > y);
}

static void
print_delays(void)
{
	qsort(delays, (size_t)packets, sizeof(*delays), compare);
	printf("%.1f %.1f %.1f\n", (double)delays[packets / 2] / 1e3,
	    (double)delays[packets * 99 / 100] / 1e3,
	    (double)delays[packets - 1] / 1e3);
}

int
main(int argc, char **argv)
{
	const char *way = argc > 2 ? argv[1] : "", *source = argv[argc > 2 ? 2 : 0];
	const char *argument = argc > 3 ? argv[3] : NULL;
	long number = argument != NULL ? atol(argument) : 0;
	int64_t began = nanoseconds();
	double cpu = cpu_seconds(), seconds;
	long before = resident();

	if (argc < 3)
		fail("usage: reader WAY SOURCE [ARGUMENT]");
	if (strncmp(way, "latency", 7) == 0)
		delays = calloc(MAX_DELAYS, sizeof(*delays));
	if (strcmp(way, "recv") == 0)
		read_bytes(source, (size_t)number * 1024,
		    argc > 4 ? atoi(argv[4]) : 1);
	else if (strcmp(way, "walk") == 0)
		walk_packets(source, (size_t)number * 1024);
	else if (strcmp(way, "latency-recv") == 0)
		read_stamped_bytes(source);
	else if (strcmp(way, "handles") == 0)
		read_some(source, number, 1);
	else if (strcmp(way, "idle") == 0) {
		read_some(source, 1, number);
		printf("%ld\n", resident() - before);
		return (0);
	} else
		read_capture(way, source, argument);
	seconds = strncmp(way, "interface", 9) == 0 ?
	    (double)(last.tv_sec - first.tv_sec) +
	    (double)(last.tv_usec - first.tv_usec) / 1e6 :
	    (double)(nanoseconds() - began) / 1e9;
	printf("%ld %.6f %.6f\n", packets, seconds, cpu_seconds() - cpu);
	if (delays != NULL)
		print_delays();
	return (0);
}
