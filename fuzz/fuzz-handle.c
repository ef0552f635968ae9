/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-handle - a libFuzzer target: the whole way from sockets to a callback
 *
 * The input says of what kind the sources of a device are, what the
 * other parties do (fuzz-world.h), and what the program does with its handle,
 * in turn.  Time is simulated, and the world goes on only where the program
 * would wait: the linker puts our poll() and clock in place of the real ones.
 * A non-blocking read must not wait nor take long, a descriptor that is not
 * readable must have nothing, and no call may go round for ever.
 */

#define _GNU_SOURCE	/* memfd_create() */

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include <pcap/pcap.h>

#include "fuzz-world.h"

#define MAX_POLLS	2000
#define MAX_IDLE	100
#define MAX_CPU		1000	/* ms, of a call that must not wait */

static pcap_t *handle;
static unsigned int polls;	/* by a call, */
static unsigned int idle;	/* and of them after the input's end */
static int64_t timer;		/* when the descriptor is readable, or 0 */
static int nonblock;
static volatile unsigned int sum;

int	__real_clock_gettime(clockid_t clock, struct timespec *ts);
int	__real_poll(struct pollfd *fds, nfds_t n, int timeout);
int	__wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int	__wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int	__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *t,
	    struct itimerspec *old);
int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = now / 1000;
	ts->tv_nsec = now % 1000 * 1000000;
	return (0);
}

/* The only one, absolute.  It is looked at, and never set. */
int
__wrap_timerfd_settime(int fd, int flags, const struct itimerspec *t,
    struct itimerspec *old)
{
	(void)fd;
	(void)flags;
	(void)old;
	timer = t->it_value.tv_sec * 1000 + t->it_value.tv_nsec / 1000000;
	return (0);
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

	return (__real_poll(&fd, 1, 0) == 1 || (timer != 0 && timer <= now));
}

static void
read_some(unsigned int what)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int64_t then = now;
	int status;

	if (what % 8 > 4)
		status = pcap_dispatch(handle, (int)(what >> 3 & 15) - 1,
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

static int64_t
cpu_time(void)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static void
use(void)
{
	static const char *const filters[] = { "udp", "", "len > 8", "ip6" };
	struct bpf_program program;
	struct pcap_stat stat;
	unsigned int what = byte();
	int64_t began = cpu_time();

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
		read_some(what);
	}
	check(!nonblock || cpu_time() - began <= MAX_CPU);
}

/* Appends the source; returns whether it has TLS. */
static int
add_source(char *name, struct party *p, unsigned int kind)
{
	static const char *const scheme[] = { "unix", "tcp", "tls",
	    "tcp-listen", "tls-listen" };

	p->kind = kind % KINDS;
	if (name[0] != '\0')
		strcat(name, "+");
	if (p->kind == BY_UNIX)
		sprintf(name + strlen(name), "unix:%s", p->path);
	else
		sprintf(name + strlen(name), "%s:127.0.0.1:%u",
		    scheme[p->kind], ntohs(p->port));
	start_listening(p);
	return (has_tls(p));
}

static void
open_handle(void)
{
	static const char *const options[] = { "", ",reconnect=yes",
	    ",reconnect=no", ",timestamps=arrival" };
	static const char *const trust[] = { "", ",verify=no", ",ca=", ",ca=" };
	char name[1024] = "", errbuf[PCAP_ERRBUF_SIZE];
	unsigned int what = byte(), kinds = what & 128 ? byte() : 0;
	int tls = add_source(name, &parties[0], kinds & 7);

	if (what & 1)
		tls |= add_source(name, &parties[1], kinds >> 3 & 7);
	sprintf(name + strlen(name), "%s%s", options[what >> 1 & 3],
	    what & 8 ? ",linktype=EN10MB" : "");
	if (tls)
		sprintf(name + strlen(name), ",cert=%s,key=%s%s%s",
		    certificate_file, key_file, trust[kinds >> 6],
		    kinds >> 6 > 1 ? certificate_file : "");
	handle = pcap_create(name, errbuf);
	check(handle != NULL);
	pcap_set_snaplen(handle, what & 16 ? 65535 : 6);
	pcap_set_timeout(handle, what & 32 ? 1000 : 0);
	pcap_set_immediate_mode(handle, (int)(what >> 6 & 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int i, j;

	if (client_context == NULL)
		set_up_world();
	next = data;
	end = data + size;
	now = 1000000;
	timer = 0;
	polls = idle = 0;
	nonblock = 0;
	random_state = 0;
	for (i = 0; i < PARTIES; i++) {
		parties[i].fd = -1;
		for (j = 0; j < CONNECTIONS; j++)
			parties[i].connection[j].fd = -1;
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
	for (i = 0; i < PARTIES; i++) {
		stop_listening(&parties[i]);
		for (j = 0; j < CONNECTIONS; j++)
			hang_up(&parties[i].connection[j], 1);
	}
	return (0);
}
