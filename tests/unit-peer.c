/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-peer - one remote end: how it comes to a stream, and how long that takes
 */

#include "unit-peer.h"

static void
a_sender_has_so_much_time(void **state)
{
	static const struct {
		int timeout, expected;	/* seconds */
	} times[] = { { -1, 10 }, { 0, 10 }, { 3, 3 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		device.timeout = times[i].timeout;
		new_sender();
		assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
		assert_string_equal(p->name, NAME);
		assert_deadline(times[i].expected * 1000);
		assert_int_equal(p->watch.fd, fake->bytes.fd);
		assert_int_equal(p->watch.watched, POLLIN);
	}
	/* But no more than the device has. */
	common.give_up = before + 1;
	new_sender();
	assert_true(p->deadline == common.give_up);
}

/* Its time begins with the first step. */
static void
a_peer_has_so_much_time(void **state)
{
	static const struct {
		int timeout;
		int64_t expected;
	} times[] = { { -1, 10000 }, { 3, 3000 } };
	int server = server_listen(0);
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		device.timeout = times[i].timeout;
		new_peer();
		assert_int_equal(p->state, PCAP_TCP_PEER_RETRYING);
		assert_true(p->deadline == 0);
		assert_int_equal(p->failed, 0);
		assert_int_equal(p->watch.fd, -1);
		assert_string_equal(p->name, target.host);
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
		assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
		assert_deadline(times[i].expected);
	}
	device.timeout = 0;
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == NEVER);
	common.give_up = pcap_tcp_now() + 1000000;
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == common.give_up);
	close(server);
	/* A TCP peer's name is its address. */
	target = (struct pcap_tcp_address){ PCAP_TCP_SCHEME_TCP, "::1", 7 };
	pcap_tcp_peer_free(p);
	p = pcap_tcp_peer_new(&common, &source, &target, NULL);
	assert_non_null(p);
	assert_string_equal(p->name, "[::1]:7");
}

/* The header makes a stream, in whatever pieces it comes. */
static void
a_sender_comes_up_and_ends(void **state)
{
	(void)state;
	new_sender();
	fake_gives(fake, stream, FILE_HEADER - 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	fake_gives(fake, stream + FILE_HEADER - 1, 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_true(p->deadline == NEVER);
	assert_false(pcap_tcp_stream_has_record(&p->stream));
	fake_gives(fake, stream + FILE_HEADER, sizeof(stream) - FILE_HEADER);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(pcap_tcp_stream_has_record(&p->stream));
	assert_packet(p->stream.batch.next, 1, 3);
	assert_false(p->failed);
	fake_ends(fake);
	assert_over(advance(), PCAP_TCP_END, PCAP_TCP_PEER_GONE, 0,
	    "end of stream");
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_GONE);
}

/* Up to the header only, where that is all that is asked for. */
static void
decodes_no_further_than_it_is_told(void **state)
{
	(void)state;
	new_sender();
	fake_gives(fake, stream, sizeof(stream));
	assert_int_equal(pcap_tcp_peer_advance(p), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	pcap_tcp_peer_decode(p, 1);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_false(pcap_tcp_stream_has_record(&p->stream));
	pcap_tcp_peer_decode(p, 0);
	assert_true(pcap_tcp_stream_has_record(&p->stream));
}

static void
a_sender_is_gone_after_any_fault(void **state)
{
	(void)state;
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	new_sender();
	fake_ends(fake);
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ECONNRESET, NAME " closed the connection before the stream "
	    "header");
	new_sender();
	fake_gives(fake, stream, sizeof(stream) - 1);
	fake_fails(fake, ECONNRESET, NULL);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE,
	    ECONNRESET, "The other host terminated the connection.");
	new_sender();
	fake_fails(fake, EPROTO, "bad certificate");
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    EPROTO, NAME ": bad certificate");
	new_sender();
	fake_gives(fake, "SSH-2.0", 7);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE, EPROTO,
	    NAME ": not a pcap stream but an SSH server: is this the right "
	    "port?");
}

/* A handshake has to write now and then. */
static void
waits_for_what_the_bytes_want(void **state)
{
	(void)state;
	fake = fake_new();
	fake->bytes.wanted = POLLOUT;
	p = pcap_tcp_peer_new_sender(&common, &source, &fake->bytes, NAME,
	    NULL);
	assert_non_null(p);
	assert_int_equal(p->watch.watched, POLLOUT);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->watch.watched, POLLOUT);
	fake->bytes.wanted = POLLIN;
	fake_fails(fake, EINTR, NULL);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->watch.watched, POLLIN);
}

static void
a_sender_that_cannot_be_watched_is_none(void **state)
{
	(void)state;
	fake = fake_new();
	close(fake->bytes.fd);
	fake->bytes.fd = -1;
	assert_null(pcap_tcp_peer_new_sender(&common, &source,
	    &fake->bytes, NAME, NULL));
	assert_int_equal(open_fakes, 0);
}

static void
one_that_sends_nothing_in_time_is_given_up(void **state)
{
	(void)state;
	new_sender();
	p->deadline = pcap_tcp_now() + 60000;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but sent no pcap stream "
	    "within 10 seconds");
	device.timeout = 3;
	new_sender();
	fake->bytes.established = 0;
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but finished no TLS "
	    "handshake within 3 seconds");
}

/* A program that stood still does not let the peer pay for that. */
static void
the_time_in_which_nobody_read_does_not_count(void **state)
{
	(void)state;
	new_sender();
	p->deadline = pcap_tcp_now() - 60000;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_deadline(10000);
	p->deadline = pcap_tcp_now();
	assert_int_equal(advance(), PCAP_TCP_UNREACHABLE);
}

/* A program that was stopped finds data and a deadline that has passed. */
static void
what_is_there_at_the_deadline_counts(void **state)
{
	(void)state;
	new_sender();
	p->deadline = 0;
	fake_gives(fake, stream, FILE_HEADER);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	/* So does an end, for what it is. */
	new_sender();
	p->deadline = 0;
	fake_ends(fake);
	assert_int_equal(advance(), PCAP_TCP_UNREACHABLE);
	assert_int_equal(p->errnum, ECONNRESET);
}

static void
give_section(void)
{
	const uint32_t section[] = { BT_SHB, 28, BYTE_ORDER_MAGIC, 0, ~0U, ~0U,
	    28 };
	u_char bytes[sizeof(section)];
	const uint16_t one = 1;

	memcpy(bytes, section, sizeof(bytes));
	memcpy(bytes + 12, &one, sizeof(one));
	fake_gives(fake, bytes, sizeof(bytes));
}

/* No interface, no link type: a section header alone is no stream. */
static void
blocks_without_an_interface_are_not_read_for_ever(void **state)
{
	const uint32_t too_short[] = { 1, 4, 0, 0 };
	int i;

	(void)state;
	new_sender();
	give_section();
	give_section();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_false(p->stream.decoder.failed);
	p->deadline = pcap_tcp_now();
	/* Those that are in the socket are no reason, but one after another. */
	for (i = 0; i < 64; i++) {
		give_section();
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	}
	give_section();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but sent no pcap stream "
	    "within 10 seconds");
	/* What is wrong with them is worth more than that. */
	new_sender();
	give_section();
	fake_gives(fake, too_short, sizeof(too_short));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->stream.decoder.failed);
	p->deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_FAILED);
	assert_int_equal(p->errnum, EPROTO);
}

/* Brings it up, with the start of a packet longer than the buffer. */
static void
give_long(uint32_t caplen)
{
	u_char start[FILE_HEADER + RECORD_HEADER];
	size_t n = put_file_header(start, 0x7fffffff, LINKTYPE_DBUS);

	put_record_header(start + n, 1, 0, caplen);
	fake_gives(fake, start, sizeof(start));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_true(p->deadline == NEVER);
}

static void
a_sender_may_not_hold_a_long_record_back(void **state)
{
	u_char *rest = calloc(1, PCAP_TCP_BUFFER_SIZE);
	int64_t deadline;

	(void)state;
	assert_non_null(rest);
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_deadline(10000);
	assert_true(p->extension_left);
	/* More bytes of it put nothing off. */
	deadline = p->deadline += 5000;
	fake_gives(fake, rest, 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == deadline);
	/* The program may have been stopped for that long: once more. */
	p->deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_deadline(10000);
	assert_false(p->extension_left);
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " sent no whole record within 10 seconds");
	/* The whole of it takes the deadline back. */
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	fake_gives(fake, rest, PCAP_TCP_BUFFER_SIZE);
	while (!pcap_tcp_stream_has_record(&p->stream))
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == NEVER);
	assert_int_equal(common.bytes_left, 0);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(common.bytes_left, PCAP_TCP_BUFFER_SIZE);
	assert_true(p->deadline == NEVER);
	/* One that the buffer holds may take its time. */
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE - RECORD_HEADER);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_true(p->deadline == NEVER);
	free(rest);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sender_has_so_much_time),
		TEST(a_peer_has_so_much_time),
		TEST(a_sender_comes_up_and_ends),
		TEST(decodes_no_further_than_it_is_told),
		TEST(a_sender_is_gone_after_any_fault),
		TEST(waits_for_what_the_bytes_want),
		TEST(a_sender_that_cannot_be_watched_is_none),
		TEST(one_that_sends_nothing_in_time_is_given_up),
		TEST(what_is_there_at_the_deadline_counts),
		TEST(the_time_in_which_nobody_read_does_not_count),
		TEST(blocks_without_an_interface_are_not_read_for_ever),
		TEST(a_sender_may_not_hold_a_long_record_back),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
