/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * bench - what the device adds to a bare recv() of the same bytes
 *
 * A child process serves a generated pcap stream of 64-byte packets by
 * sendfile(); this one reads it in several ways, a few rounds each,
 * interleaved so that a machine that drifts hits all alike, and prints
 * packets a second and CPU time a packet (of the reading process, user and
 * system), each also as a ratio to the recv() loop's.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

#define PACKET		64		/* bytes */
#define PACKETS		4000000L
#define ROUNDS		7
#define RECV_BUFFER	(256 * 1024)	/* the best of 64 K to 1 M here */

static int file = -1;			/* the stream */
static off_t file_size;
static unsigned short port;
static volatile long counted;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
write_all(const void *data, size_t size)
{
	if (write(file, data, size) != (ssize_t)size)
		fail("write");
}

static void
generate(void)
{
	struct pcap_file_header header = { 0xa1b2c3d4, 2, 4, 0, 0, 65535,
	    DLT_EN10MB };
	struct { uint32_t sec, usec, caplen, len; u_char data[PACKET]; }
	    block[1000];
	long i;

	memset(block, 0, sizeof(block));
	for (i = 0; i < 1000; i++) {
		block[i].sec = 1700000000;
		block[i].usec = (uint32_t)i;
		block[i].caplen = block[i].len = PACKET;
		block[i].data[12] = 8;		/* IPv4 */
		block[i].data[14] = 0x45;
		block[i].data[23] = 6;		/* TCP, half of it port 443 */
		block[i].data[36] = 443 >> 8;
		block[i].data[37] = i % 2 ? 443 & 0xff : 80;
	}
	file = memfd_create("stream", 0);
	if (file == -1)
		fail("memfd_create");
	write_all(&header, sizeof(header));
	for (i = 0; i < PACKETS; i += 1000)
		write_all(block, sizeof(block));
	file_size = lseek(file, 0, SEEK_CUR);
}

static pid_t
start_server(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), conn;
	pid_t pid;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&address, len) == -1 ||
	    listen(listener, 8) == -1 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) == -1)
		fail("listen");
	port = ntohs(address.sin_port);
	pid = fork();
	if (pid != 0) {
		close(listener);
		return (pid);
	}
	while ((conn = accept(listener, NULL, NULL)) != -1) {
		off_t at = 0;

		while (at < file_size && sendfile(conn, file, &at,
		    (size_t)(file_size - at)) > 0)
			;
		close(conn);
	}
	_exit(0);
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	(void)h;
	(void)data;
	counted++;
}

static void
read_recv(pcap_t *p, int fd)
{
	static char buffer[RECV_BUFFER];

	(void)p;
	while (recv(fd, buffer, sizeof(buffer), 0) > 0)
		;
	counted = PACKETS;
}

static void
read_loop(pcap_t *p, int fd)
{
	(void)fd;
	pcap_loop(p, -1, on_packet, NULL);
}

static void
read_next_ex(pcap_t *p, int fd)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	(void)fd;
	while (pcap_next_ex(p, &h, &data) >= 0)
		counted++;
}

/* Zeek's way: one packet a wake-up. */
static void
read_epoll_one(pcap_t *p, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pcap_pkthdr *h;
	const u_char *data;
	int set = epoll_create1(0), n;

	(void)fd;
	epoll_ctl(set, EPOLL_CTL_ADD, pcap_get_selectable_fd(p), &event);
	do {
		epoll_wait(set, &event, 1, -1);
		n = pcap_next_ex(p, &h, &data);
		if (n == 1)
			counted++;
	} while (n >= 0);
	close(set);
}

static const struct way {
	const char *name;
	void (*read)(pcap_t *, int);
	enum { PLAIN_SOCKET, DEVICE, DEVICE_NONBLOCK, SAVEFILE } from;
	const char *filter;
} ways[] = {
	{ "recv()", read_recv, PLAIN_SOCKET, NULL },
	{ "pcap_loop", read_loop, DEVICE, NULL },
	{ "pcap_loop, filter", read_loop, DEVICE, "tcp port 443" },
	{ "pcap_next_ex", read_next_ex, DEVICE, NULL },
	{ "pcap_next_ex, filter", read_next_ex, DEVICE, "tcp port 443" },
	{ "epoll + pcap_next_ex", read_epoll_one, DEVICE_NONBLOCK, NULL },
	{ "file, pcap_loop", read_loop, SAVEFILE, NULL },
	{ "file, pcap_loop, filter", read_loop, SAVEFILE, "tcp port 443" },
	{ "file, pcap_next_ex", read_next_ex, SAVEFILE, NULL },
	{ "file, pcap_next_ex, filter", read_next_ex, SAVEFILE,
	    "tcp port 443" },
};
#define WAYS	(sizeof(ways) / sizeof(ways[0]))

static pcap_t *
open_pcap(const struct way *way)
{
	char name[64], errbuf[PCAP_ERRBUF_SIZE];
	struct bpf_program program;
	pcap_t *p;

	if (way->from == SAVEFILE) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
		p = pcap_open_offline(name, errbuf);
	} else {
		snprintf(name, sizeof(name), "tcp:127.0.0.1:%u", port);
		p = pcap_open_live(name, 65535, 0, 0, errbuf);
	}
	if (p == NULL) {
		fprintf(stderr, "%s\n", errbuf);
		exit(1);
	}
	if (way->from == DEVICE_NONBLOCK)
		pcap_setnonblock(p, 1, errbuf);
	if (way->filter != NULL && (pcap_compile(p, &program, way->filter, 1,
	    PCAP_NETMASK_UNKNOWN) == -1 || pcap_setfilter(p, &program) == -1))
		fail(pcap_geterr(p));
	return (p);
}

static int
open_socket(void)
{
	struct sockaddr_in address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		fail("connect");
	return (fd);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static double
cpu_seconds(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return ((double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	    (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
}

static void
measure(const struct way *way, double *wall, double *cpu)
{
	pcap_t *p = NULL;
	int fd = -1;
	double wall_from, cpu_from;
	long expected = way->filter != NULL ? PACKETS / 2 : PACKETS;

	counted = 0;
	wall_from = seconds();
	cpu_from = cpu_seconds();
	if (way->from == PLAIN_SOCKET)
		fd = open_socket();
	else
		p = open_pcap(way);
	way->read(p, fd);
	*wall = seconds() - wall_from;
	*cpu = cpu_seconds() - cpu_from;
	if (counted != expected) {
		fprintf(stderr, "%s: %ld packets instead of %ld\n", way->name,
		    counted, expected);
		exit(1);
	}
	if (p != NULL)
		pcap_close(p);
	else
		close(fd);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

int
main(void)
{
	double wall[WAYS][ROUNDS], cpu[WAYS][ROUNDS], w, c;
	struct utsname name;
	pid_t server;
	size_t i;
	int round;

	generate();
	server = start_server();
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < WAYS; i++)
			measure(&ways[i], &wall[i][round], &cpu[i][round]);
	}
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);

	uname(&name);
	printf("%s\n%s %s, %ld CPUs; %ld packets of %d bytes, medians of %d "
	    "rounds\n\n", pcap_lib_version(), name.sysname, name.release,
	    sysconf(_SC_NPROCESSORS_ONLN), PACKETS, PACKET, ROUNDS);
	printf("%-28s %12s %8s %12s %8s\n", "", "Mpackets/s", "ratio",
	    "CPU ns/pkt", "ratio");
	for (i = 0; i < WAYS; i++) {
		qsort(wall[i], ROUNDS, sizeof(double), compare);
		qsort(cpu[i], ROUNDS, sizeof(double), compare);
		w = wall[i][ROUNDS / 2];
		c = cpu[i][ROUNDS / 2];
		printf("%-28s %12.2f %8.2f %12.1f %8.2f\n", ways[i].name,
		    (double)PACKETS / w / 1e6, wall[0][ROUNDS / 2] / w,
		    c / (double)PACKETS * 1e9, c / cpu[0][ROUNDS / 2]);
	}
	return (0);
}
