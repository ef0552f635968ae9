/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-feed-readiness - the program's descriptor says so whenever a step can be
 * made: random connections that want to read or to write, in random order, and
 * a program that reads one record for each wake-up
 */

#include <sys/socket.h>

#include <fcntl.h>

#include "unit-feed.h"

#define DOORS	3
#define STEPS	80
#define SEEDS	500

enum kind {
	SHAKE, GIVE, PART, END
};

/* What one read does, when the connection is ready for it. */
struct step {
	int needs;	/* POLLIN, POLLOUT; 0: TLS has it at hand */
	enum kind kind;
};

/* A connection of ours, whose other end is the test's. */
struct door {
	struct pcap_tcp_bytes bytes;	/* first */
	struct step step[STEPS];
	unsigned int now, n;
	int other_end;
	int is_open;
	int can[POLLIN | POLLOUT];	/* read and write, by POLLIN, POLLOUT */
	u_char data[STEPS * 32];
	size_t size, given, part;
};

static struct door *door[DOORS];
static struct pcap_tcp_batch run;
static uint32_t seed;

static unsigned int
any(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return ((seed >> 8) % n);
}

static int
can_step(const struct door *d)
{
	return (d->step[d->now].needs == 0 || d->can[d->step[d->now].needs]);
}

/* What the connection can do, as its descriptor has to say. */
static void
set(struct door *d, int what, int can)
{
	static u_char space[4096];
	u_char byte = 0;

	if (d->can[what] == can)
		return;
	d->can[what] = can;
	if (what == POLLIN && can)
		assert_int_equal(write(d->other_end, &byte, 1), 1);
	else if (what == POLLIN)
		assert_int_equal(read(d->bytes.fd, &byte, 1), 1);
	else if (can) {
		while (read(d->other_end, space, sizeof(space)) > 0)
			;
	} else {
		while (write(d->bytes.fd, space, sizeof(space)) > 0)
			;
		while (write(d->bytes.fd, space, 1) > 0)
			;
	}
}

static ssize_t
door_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	struct door *d = (struct door *)b;
	const struct step *s;

	for (;;) {
		s = &d->step[d->now];
		if (!can_step(d)) {
			b->wanted = (short)s->needs;
			errno = EAGAIN;
			return (-1);
		}
		if (s->needs == POLLIN)
			set(d, POLLIN, 0);
		else if (s->needs == POLLOUT && any(2))
			set(d, POLLOUT, 0);
		if (s->kind == END)
			return (0);
		d->now++;
		if (s->kind != SHAKE)
			break;
	}
	b->established = 1;
	b->wanted = POLLIN;
	/* A header or a packet, or a part of it. */
	if (s->kind == PART)
		d->part = 1 + any(10);
	else
		d->part = (d->given < FILE_HEADER ? FILE_HEADER : FILE_HEADER +
		    (d->given - FILE_HEADER) / 19 * 19 + 19) - d->given;
	assert_true(d->part <= size && d->given + d->part <= d->size);
	memcpy(buf, d->data + d->given, d->part);
	d->given += d->part;
	return ((ssize_t)d->part);
}

static int
door_pending(const struct pcap_tcp_bytes *b)
{
	const struct door *d = (const struct door *)b;

	return (b->established && d->step[d->now].needs == 0);
}

static const char *
door_error(const struct pcap_tcp_bytes *b)
{
	(void)b;
	return (NULL);
}

static void
door_close(struct pcap_tcp_bytes *b)
{
	struct door *d = (struct door *)b;

	close(b->fd);
	close(d->other_end);
	d->is_open = 0;
}

static void
add_step(struct door *d, int needs, enum kind kind)
{
	d->step[d->n].needs = needs;
	d->step[d->n++].kind = kind;
}

/* A handshake or none, a header, packets in one or two reads, and the end. */
static unsigned int
script(struct door *d, uint32_t first)
{
	unsigned int i, packets = any(12);

	d->size = put_file_header(d->data, 65535, 1);
	for (i = 0; i < packets; i++)
		d->size += put_packet(d->data + d->size, first + i, 3);
	for (i = any(5); i > 0; i--)
		add_step(d, any(2) ? POLLIN : POLLOUT, SHAKE);
	for (i = 0; i <= packets; i++) {
		if (any(3) == 0)
			add_step(d, POLLIN, PART);
		add_step(d, any(2) && d->n > 0 ? 0 : POLLIN, GIVE);
		/* An answer in mid-stream, such as to a key update. */
		if (any(6) == 0) {
			add_step(d, POLLIN, SHAKE);
			add_step(d, POLLOUT, SHAKE);
		}
	}
	add_step(d, POLLIN, END);
	return (packets);
}

static unsigned int
add_door(unsigned int i)
{
	static const struct pcap_tcp_bytes_ops ops = {
		.read = door_read, .pending = door_pending,
		.error = door_error, .close = door_close
	};
	struct door *d = door[i] = calloc(1, sizeof(*d));
	unsigned int packets = script(d, 1 + 100 * i);
	int fds[2], small = 1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	d->bytes.ops = &ops;
	d->bytes.fd = fds[0];
	d->other_end = fds[1];
	d->is_open = d->can[POLLOUT] = 1;
	d->bytes.established = d->step[0].kind != SHAKE;
	d->bytes.wanted = (short)(d->step[0].needs == POLLOUT ? POLLOUT :
	    POLLIN);
	if (any(2))
		set(d, POLLOUT, 0);
	if (any(2))
		set(d, POLLIN, 1);
	pcap_tcp_peers_add_sender(&feed.peers, &d->bytes, "x", NULL);
	return (packets);
}

static int
has_record(void)
{
	return (run.next != run.end || pcap_tcp_feed_next(&feed, &run));
}

/* As pcap-tcp-read.c does it, where the program does not block. */
static void
read_once(void)
{
	enum pcap_tcp_progress progress;
	int64_t then;

	while (!has_record()) {
		progress = pcap_tcp_feed_advance(&feed);
		if (!feed.is_open && feed.opened != 0)
			pcap_tcp_feed_start(&feed);
		if (progress != PCAP_TCP_PROGRESS &&
		    pcap_tcp_feed_wait(&feed, -1, 0) == 0)
			break;
	}
	if (run.next != run.end) {
		run.next++;
		ntaken++;
	}
	then = has_record() ? 0 : pcap_tcp_feed_deadline(&feed);
	pcap_tcp_events_set_ready(&events, then == 0);
	if (then != 0) {
		pcap_tcp_feed_watch(&feed);
		pcap_tcp_events_set_timer(&events, then);
	}
}

static int
is_readable(void)
{
	struct pollfd fd = { .fd = events.fd, .events = POLLIN };

	assert_int_not_equal(poll(&fd, 1, 0), -1);
	return (fd.revents != 0);
}

static int
can_go_on(void)
{
	unsigned int i;

	for (i = 0; i < DOORS; i++) {
		if (door[i]->is_open && can_step(door[i]))
			return (1);
	}
	return (run.next != run.end);
}

static void
one_world(void)
{
	unsigned int i, packets = 0, turns = 0;
	int open = 1;

	open_feed(0);
	ntaken = 0;
	run.next = run.end = NULL;
	for (i = 0; i < DOORS; i++)
		packets += add_door(i);
	read_once();
	while (open) {
		assert_true(turns++ < 10000);
		if (can_go_on())
			assert_true(is_readable());
		if (is_readable())
			read_once();
		else {
			i = any(DOORS);
			if (door[i]->is_open)
				set(door[i], any(2) ? POLLIN : POLLOUT, 1);
		}
		for (open = 0, i = 0; i < DOORS; i++)
			open |= door[i]->is_open;
	}
	assert_int_equal(ntaken, packets);
	for (i = 0; i < DOORS; i++)
		free(door[i]);
	pcap_tcp_feed_close(&feed);
}

static void
is_readable_when_a_step_can_be_made(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < SEEDS; i++) {
		seed = i * 2654435761U;
		one_world();
	}
	open_feed(0);	/* for the teardown */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_readable_when_a_step_can_be_made),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
