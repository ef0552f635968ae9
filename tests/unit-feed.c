/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-feed - all that feeds a device, merged into one stream
 */

#include <netinet/in.h>

#include "pcap-tcp-feed.h"
#include "unit-bytes.h"
#include "unit-server.h"

#define NEVER	PCAP_TCP_NEVER
#define PATIENT	(60 * 60 * 1000)	/* ms: longer than any test takes */
#define CUT_OFF	"The other host terminated the connection."

static struct pcap_tcp_device device;
static struct pcap_tcp_events events;
static struct pcap_tcp_common common;
static struct pcap_tcp_feed feed;
static char errbuf[PCAP_ERRBUF_SIZE];
static volatile sig_atomic_t stop;

/* The seconds of what was handed out, and how often it came from another. */
static uint32_t taken[8192];
static unsigned int ntaken, nruns;

static int
setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	device.timeout = -1;
	device.keepalive = 30;
	pcap_tcp_events_init(&events);
	assert_int_equal(pcap_tcp_events_open(&events), 0);
	common = (struct pcap_tcp_common){ .device = &device,
	    .events = &events, .decoding = { .linktypes = &linktypes,
	    .precision = PCAP_TSTAMP_PRECISION_MICRO, .dlt = -1 },
	    .give_up = NEVER };
	errbuf[0] = '\0';
	stop = 0;
	ntaken = nruns = 0;
	server_setup();
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	pcap_tcp_feed_close(&feed);
	assert_int_equal(feed.peers.common.extra_bytes, 0);
	assert_int_equal(open_fakes, 0);
	pcap_tcp_events_close(&events);
	server_teardown();
	return (0);
}

static void
open_feed(int hold)
{
	assert_int_equal(pcap_tcp_feed_open(&feed, &common, hold, errbuf), 0);
	assert_int_equal(pcap_tcp_feed_begin(&feed), 0);
}

/* Starts the feed with so many Unix sockets of ours to connect to. */
static void
open_servers(unsigned int n, int *server)
{
	unsigned int i;

	device.nsources = n;
	for (i = 0; i < n; i++) {
		server[i] = server_listen((int)i);
		device.source[i] = server_address((int)i);
	}
	open_feed(PATIENT);
}

static struct fake *
add_sender(const char *name)
{
	struct fake *f = fake_new();

	pcap_tcp_peers_add_sender(&feed.peers, &f->bytes, name, NULL);
	return (f);
}

static void
give_header(struct fake *f, uint32_t linktype)
{
	u_char header[FILE_HEADER];

	fake_gives(f, header, put_file_header(header, 65535, linktype));
}

/* A packet of three bytes. */
static void
give_packet(struct fake *f, uint32_t sec)
{
	u_char packet[RECORD_HEADER + 3];

	fake_gives(f, packet, put_packet(packet, sec, 3));
}

static struct fake *
add_stream(const char *name)
{
	struct fake *f = add_sender(name);

	give_header(f, 1);
	return (f);
}

/* Reads the headers of those that were added, and opens. */
static void
start(void)
{
	while (feed.opened == 0 &&
	    pcap_tcp_feed_advance(&feed) == PCAP_TCP_PROGRESS)
		;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static void
take_all(void)
{
	struct pcap_tcp_batch run;

	while (pcap_tcp_feed_next(&feed, &run)) {
		assert_true(run.next < run.end);
		nruns++;
		for (; run.next != run.end; run.next++) {
			assert_true(ntaken < sizeof(taken) / sizeof(taken[0]));
			assert_packet(run.next,
			    (uint32_t)run.next->h.ts.tv_sec, 3);
			taken[ntaken++] = (uint32_t)run.next->h.ts.tv_sec;
		}
	}
}

/* Looks who has something, and goes on with them. */
static enum pcap_tcp_progress
look(void)
{
	assert_true(pcap_tcp_feed_wait(&feed, -1, 0) != -1);
	return (pcap_tcp_feed_advance(&feed));
}

/*
 * Looks who has something and takes what there is, until there is nothing for
 * now, or the end.
 */
static enum pcap_tcp_progress
run_feed(void)
{
	enum pcap_tcp_progress progress;

	assert_true(pcap_tcp_feed_wait(&feed, -1, 0) != -1);
	do {
		take_all();
		progress = pcap_tcp_feed_advance(&feed);
		if (!feed.is_open && feed.opened != 0)
			pcap_tcp_feed_start(&feed);
	} while (progress == PCAP_TCP_PROGRESS);
	take_all();
	assert_int_equal(feed.received, ntaken);
	return (progress);
}

static void
assert_taken(const uint32_t *expected, unsigned int n)
{
	unsigned int i;

	assert_int_equal(ntaken, n);
	for (i = 0; i < n; i++)
		assert_int_equal(taken[i], expected[i]);
}

/* A question changes nothing: not the feed, not a peer, and reads nothing. */
static int64_t
deadline(void)
{
	static struct pcap_tcp_feed feed_before;
	static struct pcap_tcp_peer before[PCAP_TCP_MAX_PEERS];
	const struct pcap_tcp_peers *m = &feed.peers;
	unsigned int i;
	int64_t answer;

	memcpy(&feed_before, &feed, sizeof(feed));
	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL)
			memcpy(&before[i], m->peer[i], sizeof(before[i]));
	}
	answer = pcap_tcp_feed_deadline(&feed);
	assert_true(pcap_tcp_feed_deadline(&feed) == answer);
	assert_memory_equal(&feed_before, &feed, sizeof(feed));
	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL)
			assert_memory_equal(&before[i], m->peer[i],
			    sizeof(before[i]));
	}
	return (answer);
}

static void
one_stream_comes_through(void **state)
{
	static const uint32_t expected[] = { 1, 2, 3, 2 };
	u_char buf[FILE_HEADER + 2 * (RECORD_HEADER + 3)];
	size_t n = put_file_header(buf, 65535, 1);
	struct fake *f;

	(void)state;
	open_feed(PATIENT);
	f = add_sender("a");
	n += put_packet(buf + n, 1, 3);
	n += put_packet(buf + n, 2, 3);
	fake_gives(f, buf, n);
	start();
	take_all();
	assert_taken(expected, 2);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	give_packet(f, 3);
	give_packet(f, 2);
	/* Nobody else, nobody to wait for: the order is the stream's own. */
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 4);
	assert_int_equal(feed.received, 4);
}

/* More than are decoded at a time, and nothing tells of the rest. */
static void
one_read_brings_many_records(void **state)
{
	static u_char buf[FILE_HEADER + 300 * (RECORD_HEADER + 3)];
	size_t n = put_file_header(buf, 65535, 1);
	struct fake *f;
	uint32_t i;

	(void)state;
	open_feed(PATIENT);
	f = add_sender("a");
	for (i = 0; i < 300; i++)
		n += put_packet(buf + n, i, 3);
	fake_gives(f, buf, n);
	start();
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(ntaken, 300);
	for (i = 0; i < 300; i++)
		assert_int_equal(taken[i], i);
}

static void
two_streams_come_in_order_of_time(void **state)
{
	static const uint32_t expected[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct fake *a, *b;
	u_char buf[3 * (RECORD_HEADER + 3)];
	size_t n;

	(void)state;
	open_feed(PATIENT);
	a = add_stream("a");
	b = add_stream("b");
	start();
	/* In one read, and one by one. */
	n = put_packet(buf, 1, 3);
	n += put_packet(buf + n, 2, 3);
	n += put_packet(buf + n, 5, 3);
	fake_gives(a, buf, n);
	give_packet(a, 8);
	give_packet(b, 3);
	give_packet(b, 4);
	give_packet(b, 6);
	give_packet(b, 7);
	fake_ends(a);
	fake_ends(b);
	while (feed.peers.nsenders > 0)
		(void)run_feed();
	assert_taken(expected, 8);
	/* 1 and 2 were one run: both come before 3. */
	assert_true(nruns < 8);
}

/* Each of 64 has times of its own, some of them equal to another's. */
static void
many_streams_come_in_order_of_time(void **state)
{
	static uint32_t count[1024], expected[1024];
	struct fake *f;
	uint32_t sec;
	unsigned int i, j, n = 0;

	(void)state;
	srand(1);
	memset(expected, 0, sizeof(expected));
	memset(count, 0, sizeof(count));
	open_feed(PATIENT);
	for (i = 0; i < PCAP_TCP_MAX_SENDERS; i++) {
		f = add_stream("x");
		for (j = 0, sec = 0; j < 50; j++) {
			sec += (uint32_t)rand() % 20;
			give_packet(f, sec);
			expected[sec]++;
			n++;
		}
		fake_ends(f);
	}
	/* Nothing is read behind a header before the device is open. */
	start();
	while (feed.peers.nsenders > 0)
		(void)run_feed();
	assert_int_equal(ntaken, n);
	for (i = 0; i < n; i++) {
		assert_true(i == 0 || taken[i - 1] <= taken[i]);
		count[taken[i]]++;
	}
	assert_memory_equal(count, expected, sizeof(count));
}

/* One that has nothing for now holds the others back, for its time. */
static void
a_dry_stream_holds_the_others_back(void **state)
{
	static const uint32_t expected[] = { 4, 5, 6 };
	struct fake *a, *b;
	int64_t before;

	(void)state;
	open_feed(PATIENT);
	before = pcap_tcp_now();
	a = add_stream("a");
	b = add_stream("b");
	start();
	give_packet(a, 5);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(ntaken, 0);
	assert_in_range(deadline(), before + PATIENT,
	    pcap_tcp_now() + PATIENT);
	give_packet(b, 4);
	give_packet(b, 6);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
	/* One that leaves, too. */
	fake_ends(a);
	(void)run_feed();
	assert_taken(expected, 3);
}

static void
without_hold_nobody_waits(void **state)
{
	static const uint32_t expected[] = { 5, 4 };
	struct fake *a, *b;

	(void)state;
	open_feed(0);
	a = add_stream("a");
	b = add_stream("b");
	start();
	give_packet(a, 5);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 1);
	give_packet(b, 4);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
}

/* Even then, as what it has may be there already. */
static void
a_stream_is_read_before_others_go_on(void **state)
{
	static const uint32_t expected[] = { 1, 2, 3 };
	struct fake *a, *b;

	(void)state;
	open_feed(PATIENT);
	a = add_stream("a");
	b = add_stream("b");
	start();
	give_packet(a, 1);
	give_packet(a, 2);
	give_packet(b, 3);
	give_packet(a, 4);
	(void)look();
	take_all();
	assert_taken(expected, 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	/* Before the last one, b may have another. */
	assert_taken(expected, 3);
}

/* The time stamp's fraction counts, in either precision. */
static void
fractions_of_a_second_have_an_order(void **state)
{
	static const int precisions[] = { PCAP_TSTAMP_PRECISION_MICRO,
	    PCAP_TSTAMP_PRECISION_NANO };
	u_char packet[RECORD_HEADER];
	struct pcap_tcp_batch run;
	struct fake *f;
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < 2; i++) {
		pcap_tcp_feed_close(&feed);
		common.decoding.precision = precisions[i];
		open_feed(PATIENT);
		for (j = 0; j < 2; j++) {
			f = add_stream("x");
			put_record_header(packet, 1, j == 0 ? 999999 : 1, 0);
			fake_gives(f, packet, sizeof(packet));
			fake_ends(f);
		}
		f = add_stream("x");
		put_record_header(packet, 2, 0, 0);
		fake_gives(f, packet, sizeof(packet));
		fake_ends(f);
		start();
		for (j = 0; j < 3; j++) {
			while (!pcap_tcp_feed_next(&feed, &run))
				(void)pcap_tcp_feed_advance(&feed);
			assert_int_equal(run.end - run.next, 1);
			assert_int_equal(run.next->h.ts.tv_sec,
			    j == 2 ? 2 : 1);
			assert_int_equal(run.next->h.ts.tv_usec != 0, j != 2);
			assert_int_equal(run.next->h.ts.tv_usec > 1000,
			    j == 1);
		}
	}
}

static void
a_sender_that_leaves_frees_its_slot(void **state)
{
	const struct pcap_tcp_peers *m = &feed.peers;
	struct fake *f[4];
	unsigned int i;

	(void)state;
	open_feed(PATIENT);
	for (i = 0; i < 3; i++)
		f[i] = add_stream("x");
	start();
	assert_int_equal(m->nslots, 3);
	assert_int_equal(m->nsenders, 3);
	fake_ends(f[1]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_null(m->peer[1]);
	assert_int_equal(m->nsenders, 2);
	assert_int_equal(m->nslots, 3);
	assert_int_equal(open_fakes, 2);
	assert_true(deadline() == NEVER);
	/* Another one takes it, and then there is none. */
	f[1] = add_stream("x");
	f[3] = add_sender("y");
	assert_non_null(m->peer[1]);
	assert_int_equal(m->nslots, 4);
	assert_int_equal(m->nsenders, 4);
	assert_string_equal(m->peer[3]->name, "y");
	/* Those that leave with a fault, or without a stream, free theirs. */
	fake_fails(f[0], ETIMEDOUT, NULL);
	fake_gives(f[2], "?", 1);
	fake_ends(f[2]);
	fake_gives(f[3], "HTTP", 4);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(m->nsenders, 1);
	assert_int_equal(open_fakes, 1);
	assert_non_null(m->peer[1]);
	/* Its record goes out although the others were waited for. */
	give_packet(f[1], 7);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(ntaken, 1);
}

static void
a_sender_that_sends_nothing_is_dropped(void **state)
{
	struct fake *f;

	(void)state;
	open_feed(PATIENT);
	f = add_stream("a");
	start();
	(void)add_sender("b");
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == feed.peers.peer[1]->deadline);
	feed.peers.peer[1]->deadline = pcap_tcp_now();
	assert_true(deadline() == feed.peers.peer[1]->deadline);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, 1);
	assert_ptr_equal(feed.peers.peer[0]->bytes, &f->bytes);
	assert_string_equal(feed.fault, "b took the connection but sent no "
	    "pcap stream within 10 seconds");
}

static void
a_question_changes_nothing(void **state)
{
	struct pcap_tcp_batch run;
	struct fake *f;

	(void)state;
	device.timeout = 5;
	common.give_up = NEVER;
	open_feed(PATIENT);
	assert_true(deadline() == feed.peers.opening.give_up);
	assert_true(feed.peers.common.give_up == feed.peers.opening.give_up);
	f = add_stream("a");
	feed.peers.opening.grace_end = 3;
	assert_true(deadline() == 3);
	feed.peers.opening.give_up = 2;
	assert_true(deadline() == 2);
	feed.peers.opening.grace_end = feed.peers.opening.give_up = NEVER;
	assert_true(deadline() == feed.peers.peer[0]->deadline);
	f->pending = 1;
	assert_true(deadline() == 0);
	f->pending = 0;
	start();
	assert_true(deadline() == NEVER);
	assert_true(feed.peers.common.give_up == NEVER);
	/* A record at hand: now. */
	give_packet(f, 1);
	assert_int_equal(look(), PCAP_TCP_PROGRESS);
	assert_true(deadline() == 0);
	assert_int_equal(pcap_tcp_feed_next(&feed, &run), 1);
	(void)deadline();
	assert_int_equal(pcap_tcp_feed_next(&feed, &run), 0);
	assert_int_equal(look(), PCAP_TCP_WAIT);
	assert_true(deadline() == NEVER);
	/* TLS may have more at hand than the socket says. */
	f->pending = 1;
	assert_true(deadline() == 0);
	f->pending = 0;
	/* So has damage. */
	fake_gives(f, "\377\377\377\377\377\377\377\377\377\377\377\377"
	    "\377\377\377\377", 16);
	assert_int_equal(look(), PCAP_TCP_PROGRESS);
	assert_true(deadline() == 0);
}

/* Only those whose data would be read make the descriptor readable. */
static void
watches_those_that_have_to_be_read(void **state)
{
	struct fake *a, *b;

	(void)state;
	open_feed(PATIENT);
	a = add_stream("a");
	b = add_stream("b");
	start();
	give_packet(a, 1);
	(void)look();
	pcap_tcp_feed_watch(&feed);
	assert_int_equal(feed.peers.peer[0]->watch.watched, 0);
	assert_int_equal(feed.peers.peer[1]->watch.watched, POLLIN);
	give_packet(b, 2);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	pcap_tcp_feed_watch(&feed);
	assert_int_equal(ntaken, 1);
	assert_int_equal(feed.peers.peer[0]->watch.watched, POLLIN);
	assert_int_equal(feed.peers.peer[1]->watch.watched, 0);
}

static void
waits_for_whatever_comes(void **state)
{
	struct fake *f;
	int fds[2];

	(void)state;
	open_feed(PATIENT);
	f = add_stream("a");
	start();
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	fake_mute(f);
	assert_int_equal(pcap_tcp_feed_advance(&feed), PCAP_TCP_WAIT);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, 0), 0);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, 1), 0);
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WAKE);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	assert_int_equal(pcap_tcp_feed_wait(&feed, fds[0], NEVER),
	    PCAP_TCP_EVENT_STOP);
	close(fds[0]);
	close(fds[1]);
	f->pending = 1;
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	f->pending = 0;
	assert_int_equal(pcap_tcp_feed_advance(&feed), PCAP_TCP_WAIT);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, 0), 0);
}

/* No descriptor tells that a record was held back for long enough. */
static void
waits_for_the_end_of_the_hold(void **state)
{
	struct fake *a, *b;

	(void)state;
	open_feed(PATIENT);
	a = add_stream("a");
	b = add_stream("b");
	start();
	give_packet(a, 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	fake_mute(a);
	fake_mute(b);
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, 0), 0);
	feed.patience.hold = 0;
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	assert_int_equal(ntaken, 0);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(ntaken, 1);
}

static void
waiting_for_a_stream_can_be_stopped(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fds[2];

	(void)state;
	open_servers(1, server);
	stop = 1;
	errno = 0;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	snprintf(text, sizeof(text), "interrupted while waiting for %s",
	    server_path[0]);
	assert_string_equal(errbuf, text);
	close(server[0]);
	pcap_tcp_feed_close(&feed);
	unlink(server_path[0]);
	open_servers(2, server);
	stop = 0;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	errno = 0;
	assert_int_equal(pcap_tcp_feed_await(&feed, fds[0], &stop), -1);
	assert_int_equal(errno, EINTR);
	assert_string_equal(errbuf,
	    "interrupted while waiting for a pcap stream");
	close(fds[0]);
	close(fds[1]);
	close(server[0]);
	close(server[1]);
}

/* Without a listener, and with nobody to connect to, there is no stream. */
static void
is_refused_for_the_last_senders_reason(void **state)
{
	struct fake *f;

	(void)state;
	device.timeout = 3;
	open_feed(PATIENT);
	f = add_sender("a");
	fake_gives(f, "BZh91AY", 7);
	while (pcap_tcp_feed_advance(&feed) == PCAP_TCP_PROGRESS)
		;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_string_equal(errbuf, "no sender sent a pcap stream within 3 "
	    "seconds; the last, a: not a pcap stream but bzip2: decompress at "
	    "the sender");
}

static void
is_refused_for_the_peers_reason(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server, fd;

	(void)state;
	open_servers(1, &server);
	(void)look();
	fd = server_accept(server);
	assert_int_equal(write(fd, "SSH-2.0", 7), 7);
	assert_int_equal(look(), PCAP_TCP_PROGRESS);
	assert_int_equal(look(), PCAP_TCP_FAILED);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(feed.opened, -1);
	snprintf(text, sizeof(text), "%s: not a pcap stream but an SSH "
	    "server: is this the right port?", server_path[0]);
	assert_string_equal(errbuf, text);
	close(fd);
	close(server);
}

/* An attempt that fails is the last one, unless the device says otherwise. */
static void
who_may_still_come_is_waited_for(void **state)
{
	(void)state;
	device.nsources = 1;
	device.source[0] = server_address(0);
	open_feed(PATIENT);
	(void)look();
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ENOENT);
	pcap_tcp_feed_close(&feed);
	stop = 1;
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	open_feed(PATIENT);
	(void)look();
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	pcap_tcp_feed_close(&feed);
	device.source[0] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	/* But no sender, once there is a stream. */
	(void)add_stream("a");
	(void)add_sender("b");
	(void)look();
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static void
a_sender_of_another_link_type_goes(void **state)
{
	struct fake *f;

	(void)state;
	open_feed(PATIENT);
	(void)add_stream("a");
	f = add_sender("b");
	give_header(f, 101);
	start();
	assert_int_equal(feed.peers.common.decoding.dlt, 1);
	assert_int_equal(feed.peers.nsenders, 1);
	assert_null(feed.peers.peer[1]);
	/* And so does one that comes later. */
	f = add_sender("c");
	give_header(f, 101);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, 1);
	assert_string_equal(feed.fault, "c: the link type is RAW, the "
	    "device's is 1 (at byte 0 of the stream)");
}

/* Connects to a server, which sends a header. */
static int
connect_server(int server, uint32_t linktype)
{
	u_char header[FILE_HEADER];
	int fd;

	(void)look();
	fd = server_accept(server);
	assert_int_equal(write(fd, header, put_file_header(header, 65535,
	    linktype)), FILE_HEADER);
	return (fd);
}

static void
peers_of_two_link_types_are_refused(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fd[2];

	(void)state;
	open_servers(2, server);
	fd[0] = connect_server(server[0], 1);
	fd[1] = connect_server(server[1], 101);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EPROTO);
	snprintf(text, sizeof(text), "%s sends an unknown link type, %s RAW: "
	    "the sources of a device need one link type", server_path[0],
	    server_path[1]);
	assert_string_equal(errbuf, text);
	close(fd[0]);
	close(fd[1]);
	close(server[0]);
	close(server[1]);
}

static void
start_servers(unsigned int n, int *server, int *fd)
{
	unsigned int i;

	open_servers(n, server);
	for (i = 0; i < n; i++)
		fd[i] = connect_server(server[i], 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static void
send_packet(int fd, uint32_t sec)
{
	u_char packet[RECORD_HEADER + 3];
	size_t n = put_packet(packet, sec, 3);

	assert_int_equal(write(fd, packet, n), n);
}

/* There is an end, and no other one. */
static enum pcap_tcp_progress
run_to_end(void)
{
	enum pcap_tcp_progress progress = run_feed();

	assert_int_not_equal(progress, PCAP_TCP_WAIT);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	return (progress);
}

static void
one_peer_ends_or_fails(void **state)
{
	int server, fd;

	(void)state;
	start_servers(1, &server, &fd);
	send_packet(fd, 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	assert_int_equal(ntaken, 1);
	/* It is back, and is cut off. */
	feed.peers.peer[0]->deadline = 0;
	fd = connect_server(server, 1);
	assert_int_equal(write(fd, "?", 1), 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, CUT_OFF);
	close(server);
}

static void
the_end_comes_once_after_the_last_stream(void **state)
{
	static const uint32_t expected[] = { 1, 2 };
	int server[2], fd[2];

	(void)state;
	start_servers(2, server, fd);
	send_packet(fd[0], 1);
	send_packet(fd[1], 2);
	close(fd[0]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
	close(fd[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	close(server[0]);
	close(server[1]);
}

/* Whichever of the two comes first; with its name, as there are others. */
static void
a_fault_comes_once_after_the_last_stream(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fd[2], i, other;

	(void)state;
	start_servers(2, server, fd);
	for (i = 0; i < 2; i++) {
		other = !i;
		assert_int_equal(write(fd[i], "?", 1), 1);
		close(fd[i]);
		if (i == 0)
			assert_int_equal(run_feed(), PCAP_TCP_WAIT);
		close(fd[other]);
		snprintf(text, sizeof(text), "%s: " CUT_OFF, server_path[i]);
		assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
		assert_string_equal(errbuf, text);
		/* That was all. */
		feed.peers.peer[0]->deadline = 0;
		feed.peers.peer[1]->deadline = 0;
		fd[0] = connect_server(server[0], 1);
		fd[1] = connect_server(server[1], 1);
		assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	}
	/* A fault of one that has come back is no news. */
	assert_int_equal(write(fd[0], "?", 1), 1);
	close(fd[0]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_RETRYING);
	feed.peers.peer[0]->deadline = 0;
	fd[0] = connect_server(server[0], 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	close(server[0]);
	close(server[1]);
}

/* Of two faults the first one; a name that is in the text is enough. */
static void
the_first_fault_is_told_and_forgotten(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE], damage[RECORD_HEADER];
	int server[2], fd[2];

	(void)state;
	start_servers(2, server, fd);
	memset(damage, 0xff, sizeof(damage));
	assert_int_equal(write(fd[1], damage, sizeof(damage)),
	    sizeof(damage));
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(write(fd[0], "?", 1), 1);
	close(fd[0]);
	close(fd[1]);
	snprintf(text, sizeof(text), "Is the server properly installed? %s: "
	    "invalid packet capture length 4294967295, bigger than maximum of "
	    "262144 (at byte 24 of the stream)", server_path[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, text);
	/* The other one comes back and ends. */
	feed.peers.peer[0]->deadline = 0;
	fd[0] = connect_server(server[0], 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	close(fd[0]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	close(server[0]);
	close(server[1]);
}

/* A device that opens without a stream: the first attempt may be the last. */
static void
the_only_attempt_fails_once(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];

	(void)state;
	common.decoding.dlt = 1;
	device.nsources = 1;
	device.source[0] = server_address(0);
	device.reconnect = PCAP_TCP_RECONNECT_NO;
	open_feed(PATIENT);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ENOENT);
	pcap_tcp_feed_close(&feed);
	open_feed(PATIENT);
	assert_int_equal(run_feed(), PCAP_TCP_FAILED);
	snprintf(text, sizeof(text), "cannot connect to %s: %s",
	    server_path[0], strerror(ENOENT));
	assert_string_equal(errbuf, text);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == NEVER);
	pcap_tcp_feed_close(&feed);
	/* With others to come, it is told, too. */
	device.reconnect = PCAP_TCP_RECONNECT_AFTER_REPORT;
	open_feed(PATIENT);
	assert_int_equal(run_feed(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, text);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == feed.peers.peer[0]->deadline);
	pcap_tcp_feed_close(&feed);
	/* Unless nothing is. */
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	open_feed(PATIENT);
	feed.peers.opening.give_up = feed.peers.common.give_up = 0;
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == feed.peers.peer[0]->deadline);
}

/* One that could not be had before that is no fault of the stream. */
static void
what_opening_did_without_is_no_fault(void **state)
{
	int server, fd;

	(void)state;
	device.reconnect = PCAP_TCP_RECONNECT_NO;
	device.nsources = 2;
	device.source[0] = server_address(0);
	device.source[1] = server_address(1);
	server = server_listen(1);
	open_feed(PATIENT);
	fd = connect_server(server, 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_GONE);
	send_packet(fd, 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_int_equal(ntaken, 1);
	close(server);
}

/* Connects to the only listener's port. */
static int
connect_sender(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(getsockname(feed.peers.listeners->watch.fd,
	    (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	return (fd);
}

static void
excess_senders_stay_in_the_backlog(void **state)
{
	struct fake *f[PCAP_TCP_MAX_SENDERS];
	struct pcap_tcp_listener *l;
	int fd[2];
	unsigned int i;

	(void)state;
	device.nsources = 1;
	device.source[0] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	l = feed.peers.listeners;
	assert_non_null(l);
	assert_null(l->next);
	for (i = 1; i < PCAP_TCP_MAX_SENDERS; i++)
		f[i] = add_stream("x");
	start();
	fd[0] = connect_sender();
	fd[1] = connect_sender();
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	assert_int_equal(pcap_tcp_feed_advance(&feed), PCAP_TCP_PROGRESS);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS);
	assert_true(l->paused_until != 0);
	assert_true(deadline() == l->paused_until);
	/* A slot is free, but the listener pauses. */
	fake_ends(f[1]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS - 1);
	l->paused_until = 1;
	assert_true(deadline() == 1);
	(void)pcap_tcp_feed_wait(&feed, -1, NEVER);
	assert_int_equal(l->paused_until, 0);
	(void)pcap_tcp_feed_wait(&feed, -1, NEVER);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS);
	close(fd[0]);
	close(fd[1]);
}

/* Senders may come any time: then there is no end to report. */
static void
a_listener_has_no_end(void **state)
{
	static const uint32_t expected[] = { 1, 2 };
	struct fake *f;
	int server, fd;

	(void)state;
	device.nsources = 2;
	server = server_listen(0);
	device.source[0] = server_address(0);
	device.source[1] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	fd = connect_server(server, 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
	f = add_stream("a");
	give_packet(f, 1);
	send_packet(fd, 2);
	fake_ends(f);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, 0);
	assert_int_equal(write(fd, "?", 1), 1);
	close(fd);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_RETRYING);
	assert_string_equal(errbuf, "");
	close(server);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_stream_comes_through),
		TEST(one_read_brings_many_records),
		TEST(two_streams_come_in_order_of_time),
		TEST(many_streams_come_in_order_of_time),
		TEST(a_dry_stream_holds_the_others_back),
		TEST(without_hold_nobody_waits),
		TEST(a_stream_is_read_before_others_go_on),
		TEST(fractions_of_a_second_have_an_order),
		TEST(a_sender_that_leaves_frees_its_slot),
		TEST(a_sender_that_sends_nothing_is_dropped),
		TEST(a_question_changes_nothing),
		TEST(watches_those_that_have_to_be_read),
		TEST(waits_for_whatever_comes),
		TEST(waits_for_the_end_of_the_hold),
		TEST(waiting_for_a_stream_can_be_stopped),
		TEST(is_refused_for_the_last_senders_reason),
		TEST(is_refused_for_the_peers_reason),
		TEST(who_may_still_come_is_waited_for),
		TEST(a_sender_of_another_link_type_goes),
		TEST(peers_of_two_link_types_are_refused),
		TEST(one_peer_ends_or_fails),
		TEST(the_end_comes_once_after_the_last_stream),
		TEST(a_fault_comes_once_after_the_last_stream),
		TEST(the_first_fault_is_told_and_forgotten),
		TEST(the_only_attempt_fails_once),
		TEST(what_opening_did_without_is_no_fault),
		TEST(excess_senders_stay_in_the_backlog),
		TEST(a_listener_has_no_end),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
