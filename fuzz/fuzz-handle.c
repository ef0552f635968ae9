/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-handle - a libFuzzer target: the whole way from sockets to a callback
 *
 * The input says what two servers at Unix sockets do (listen, accept, send,
 * shut down, close, go away) and what the program does with a handle of them,
 * in turn.  Time is simulated, and the world goes on only where the program
 * would wait: the linker puts our poll() and clock in place of the real ones.
 * A non-blocking read must not wait, a descriptor that is not readable must
 * have nothing, and no call may go round for ever.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "fuzz.h"

#define SERVERS		2
#define CONNECTIONS	4
#define MAX_POLLS	2000
#define MAX_IDLE	100

struct server {
	struct sockaddr_un address;
	int fd;			/* -1: it does not listen */
	int connection[CONNECTIONS];	/* -1: none */
};

static struct server server[SERVERS];
static pcap_t *handle;
static int64_t now;
static unsigned int polls;	/* by a call, */
static unsigned int idle;	/* and of them after the input's end */
static int nonblock;
static volatile unsigned int sum;

int	__real_poll(struct pollfd *fds, nfds_t n, int timeout);
int	__wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int	__wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = now / 1000;
	ts->tv_nsec = now % 1000 * 1000000;
	return (0);
}

static void
stop_listening(struct server *s)
{
	if (s->fd != -1)
		close(s->fd);
	unlink(s->address.sun_path);
	s->fd = -1;
}

static void
start_listening(struct server *s)
{
	stop_listening(s);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	check(bind(s->fd, (struct sockaddr *)&s->address,
	    sizeof(s->address)) == 0 && listen(s->fd, CONNECTIONS) == 0);
}

static void
hang_up(int *connection)
{
	if (*connection != -1)
		close(*connection);
	*connection = -1;
}

/* A header or a packet that is right, or bytes as they are. */
static void
send_something(int fd, unsigned int what)
{
	static const uint32_t header[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0,
	    65535, 1 };
	static const uint32_t section[] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0U,
	    ~0U, 28, 1, 20, 1, 65535, 20 };
	uint32_t packet[] = { (uint32_t)(now / 1000), 0, 8, 60, 0, 0 };
	uint32_t block[] = { 6, 40, 0, 0, (uint32_t)now * 1000, 8, 60, 0, 0,
	    40 };
	u_char noise[256];
	const void *data = noise;
	size_t size, i;

	switch (what % 8) {

	case 0:
	case 1:
		for (size = what / 8, i = 0; i < size; i++)
			noise[i] = (u_char)byte();
		break;

	case 2:
		data = header;
		size = sizeof(header);
		break;

	case 3:
		data = section;
		size = sizeof(section);
		break;

	case 4:
	case 5:
		data = packet;
		size = sizeof(packet);
		break;

	default:
		data = block;
		size = sizeof(block);
	}
	/* Sometimes a part of it. */
	if (what % 8 > 1 && what / 8 % 4 == 0)
		size = size * byte() / 256;
	(void)send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One thing happens outside the program; returns 0 when nothing does. */
static int
go_on(void)
{
	unsigned int what = byte(), which = byte();
	struct server *s = &server[which % SERVERS];
	int *connection = &s->connection[which / SERVERS % CONNECTIONS];

	if (next == end)
		return (0);
	switch (what % 8) {

	case 0:
		now += which * (what / 8);
		break;

	case 1:
		if (what & 8)
			start_listening(s);
		else
			stop_listening(s);
		break;

	case 2:
		hang_up(connection);
		break;

	case 3:
		if (*connection != -1)
			shutdown(*connection, (int)(what / 8 % 3));
		break;

	default:
		if (*connection == -1 && s->fd != -1)
			*connection = accept(s->fd, NULL, NULL);
		if (*connection != -1)
			send_something(*connection, what / 8);
	}
	return (1);
}

/* The program would sleep: the world goes on, or time does. */
int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int found;

	check(polls++ < MAX_POLLS);
	check(timeout == 0 || !nonblock);
	for (;;) {
		found = __real_poll(fds, n, 0);
		if (found != 0 || timeout == 0)
			return (found);
		if (go_on())
			continue;
		/* Attempts to come back are for ever. */
		if (timeout > 0 && idle++ < MAX_IDLE) {
			now += timeout;
			return (0);
		}
		pcap_breakloop(handle);
	}
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	bpf_u_int32 i;

	(void)user;
	check(h->caplen <= (bpf_u_int32)pcap_snapshot(handle));
	for (i = 0; i < h->caplen; i++)
		sum += data[i];
}

/* As epoll says it, to who does not read before it does. */
static int
is_readable(void)
{
	struct pollfd fd = { pcap_get_selectable_fd(handle), POLLIN, 0 };

	return (__real_poll(&fd, 1, 0) == 1);
}

static void
read_some(unsigned int what)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int64_t then = now;
	int status;

	if (what & 1)
		status = pcap_dispatch(handle, (int)(what >> 1 & 15) - 1,
		    on_packet, NULL);
	else {
		status = pcap_next_ex(handle, &h, &data);
		if (status == 1)
			on_packet(NULL, h, data);
	}
	check(status >= -2);
	/* All that was said to the descriptor is of this very moment. */
	if (nonblock && then == now && !is_readable())
		check(pcap_dispatch(handle, -1, on_packet, NULL) == 0);
}

static void
use(void)
{
	static const char *const filters[] = { "udp", "", "len > 8", "ip6" };
	struct bpf_program program;
	struct pcap_stat stat;
	unsigned int what = byte();

	polls = idle = 0;
	switch (what % 8) {

	case 0:
		nonblock = what >> 3 & 1;
		check(pcap_setnonblock(handle, nonblock,
		    pcap_geterr(handle)) == 0);
		break;

	case 1:
		pcap_breakloop(handle);
		break;

	case 2:
		check(pcap_stats(handle, &stat) == 0);
		break;

	case 3:
		/* The link type may be one that nobody knows. */
		if (pcap_compile(handle, &program, filters[what >> 3 & 3], 1,
		    0) == 0) {
			check(pcap_setfilter(handle, &program) == 0);
			pcap_freecode(&program);
		}
		break;

	default:
		read_some(what / 4);
	}
}

static void
open_handle(void)
{
	static const char *const options[] = { "", ",reconnect=yes",
	    ",reconnect=no", ",timestamps=arrival" };
	char name[256], errbuf[PCAP_ERRBUF_SIZE];
	unsigned int what = byte();

	snprintf(name, sizeof(name), "unix:%s%s%s%s%s",
	    server[0].address.sun_path, what & 1 ? "+" : "",
	    what & 1 ? server[1].address.sun_path : "", options[what >> 1 & 3],
	    what & 8 ? ",linktype=EN10MB" : "");
	handle = pcap_create(name, errbuf);
	check(handle != NULL);
	pcap_set_snaplen(handle, what & 16 ? 65535 : 6);
	pcap_set_timeout(handle, what & 32 ? 1000 : 0);
	pcap_set_immediate_mode(handle, (int)(what >> 6 & 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char folder[] = "/tmp/pcap-tcp-XXXXXX";
	unsigned int i, j;
	struct server *s;

	if (strchr(folder, 'X') != NULL)
		check(mkdtemp(folder) != NULL);
	next = data;
	end = data + size;
	now = 1000000;
	polls = idle = 0;
	nonblock = 0;
	for (i = 0; i < SERVERS; i++) {
		s = &server[i];
		s->address.sun_family = AF_UNIX;
		snprintf(s->address.sun_path, sizeof(s->address.sun_path),
		    "%s/%u", folder, i);
		s->fd = -1;
		memset(s->connection, -1, sizeof(s->connection));
		start_listening(s);
	}
	open_handle();
	if (pcap_activate(handle) == 0) {
		while (next != end) {
			if (byte() & 1)
				use();
			else
				(void)go_on();
		}
	}
	pcap_close(handle);
	for (i = 0; i < SERVERS; i++) {
		stop_listening(&server[i]);
		for (j = 0; j < CONNECTIONS; j++)
			hang_up(&server[i].connection[j]);
	}
	return (0);
}
