/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-feed - all that feeds a device, merged into one stream
 */

#include "unit-feed.h"

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

/* Its batch is the run, as it lies there: nothing is copied. */
static void
the_only_source_has_its_own_batch(void **state)
{
	u_char buf[FILE_HEADER + 2 * (RECORD_HEADER + 3)];
	size_t n = put_file_header(buf, 65535, 1);
	const struct pcap_tcp_record *r;
	struct pcap_tcp_batch run;
	int server, fd;

	(void)state;
	n += put_packet(buf + n, 2, 3);
	n += put_packet(buf + n, 1, 3);
	open_servers(1, &server);
	(void)look();
	fd = server_accept(server);
	assert_int_equal(write(fd, buf, n), n);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
	while (!pcap_tcp_stream_has_record(&feed.peers.peer[0]->stream))
		assert_int_equal(look(), PCAP_TCP_PROGRESS);
	r = feed.peers.peer[0]->stream.batch.next;
	assert_int_equal(pcap_tcp_feed_next(&feed, &run), 1);
	assert_ptr_equal(run.next, r);
	assert_ptr_equal(run.end, r + 2);
	close(fd);
	close(server);
}

/* A round of reads stays in the cache, and is not of very small ones. */
static void
sources_share_what_a_round_reads(void **state)
{
	static const struct {
		unsigned int n;
		size_t size;
	} share[] = {
		{ 1, 512 * 1024 }, { 4, 64 * 1024 }, { 16, 16 * 1024 },
		{ 64, 16 * 1024 }
	};
	unsigned int i, n = 0;

	(void)state;
	open_feed(PATIENT);
	for (i = 0; i < sizeof(share) / sizeof(share[0]); i++) {
		for (; n < share[i].n; n++)
			(void)add_stream("x");
		(void)look();
		assert_int_equal(feed.peers.common.read_size, share[i].size);
	}
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

/* Which take long, whoever asks for them: not one for each read of a stream. */
static void
handshakes_leave_the_streams_their_time(void **state)
{
	const unsigned int packets = 320;
	struct fake *stream, *shaking[2];
	unsigned int i, j;
	int before;

	(void)state;
	open_feed(PATIENT);
	stream = add_stream("a");
	start();
	for (i = 0; i < 2; i++) {
		shaking[i] = add_sender("b");
		shaking[i]->bytes.established = 0;
		for (j = 0; j < packets; j++)
			fake_fails(shaking[i], EINTR, NULL);
	}
	for (i = 1; i <= packets; i++)
		give_packet(stream, i);
	while (ntaken < packets) {
		assert_int_equal(look(), PCAP_TCP_PROGRESS);
		take_all();
	}
	assert_in_range(shaking[0]->reads + shaking[1]->reads, packets / 64,
	    packets / 16);
	assert_in_range(shaking[0]->reads, shaking[1]->reads - 1,
	    shaking[1]->reads + 1);
	/* One after the other where there is nothing else. */
	(void)look();
	before = shaking[0]->reads + shaking[1]->reads;
	for (i = 0; i < 20; i++)
		assert_int_equal(look(), PCAP_TCP_PROGRESS);
	assert_int_equal(shaking[0]->reads + shaking[1]->reads, before + 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_stream_comes_through),
		TEST(the_only_source_has_its_own_batch),
		TEST(sources_share_what_a_round_reads),
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
		TEST(handshakes_leave_the_streams_their_time),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
