/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-stream - what one connection brings, and how it ends
 */

#include "pcap-tcp-link.h"
#include "pcap-tcp-stream.h"
#include "unit-bytes.h"

#define NAME	"h:1"
#define CUT_OFF	"The other host terminated the connection."
#define ROOM	(16U * 1024 * 1024)	/* that senders have together */

static struct pcap_tcp_decoding shared;
static struct pcap_tcp_stream s;

static enum pcap_tcp_progress
read_once(void)
{
	return (pcap_tcp_stream_read(&s, SIZE_MAX));
}
static struct fake *fake;
static size_t bytes_left = ROOM;
static uint32_t taken;		/* packets, numbered from 1 on */

/* A header and three packets: 7 bytes, none, and 2. */
static u_char three[FILE_HEADER + 3 * RECORD_HEADER + 9];
static const uint32_t caplens[] = { 7, 0, 2 };
static size_t boundary[4];	/* where the first one begins, and so on */

static void
open_stream(size_t *left)
{
	assert_int_equal(pcap_tcp_stream_init(&s, &shared, NAME, left), 0);
}

/* Another connection. */
static void
connect_stream(void)
{
	if (fake != NULL)
		pcap_tcp_bytes_close(&fake->bytes);
	fake = fake_new();
	pcap_tcp_stream_restart(&s, &fake->bytes);
	taken = 0;
}

static int
setup(void **state)
{
	size_t i, n = put_file_header(three, 65535, 1);

	(void)state;
	for (i = 0; i < 3; i++) {
		boundary[i] = n;
		n += put_packet(three + n, (uint32_t)i + 1, caplens[i]);
	}
	boundary[3] = n;
	assert_int_equal(n, sizeof(three));
	shared = (struct pcap_tcp_decoding){ .linktypes = &linktypes,
	    .precision = PCAP_TSTAMP_PRECISION_MICRO, .dlt = -1 };
	open_stream(&bytes_left);
	connect_stream();
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	pcap_tcp_stream_free(&s);
	assert_int_equal(bytes_left, ROOM);
	if (fake != NULL)
		pcap_tcp_bytes_close(&fake->bytes);
	fake = NULL;
	assert_int_equal(open_fakes, 0);
	return (0);
}

/* Takes the three packets, as far as they are here. */
static void
take_three(void)
{
	for (; pcap_tcp_stream_has_record(&s); s.batch.next++) {
		assert_true(taken < 3);
		assert_packet(s.batch.next, taken + 1, caplens[taken]);
		taken++;
	}
}

/* Reads to the end, or until there is nothing for now. */
static enum pcap_tcp_progress
run(void)
{
	enum pcap_tcp_progress progress;

	while ((progress = read_once()) == PCAP_TCP_PROGRESS) {
		(void)pcap_tcp_stream_decode(&s, 0);
		take_three();
	}
	return (progress);
}

static void
assert_over(enum pcap_tcp_progress progress, enum pcap_tcp_progress expected,
    int errnum, const char *text)
{
	assert_int_equal(progress, expected);
	assert_int_equal(s.errnum, errnum);
	assert_string_equal(s.error, text);
}

static void
reads_may_cut_anywhere(void **state)
{
	size_t cut, i;

	(void)state;
	for (cut = 1; cut < sizeof(three); cut++) {
		connect_stream();
		fake_gives(fake, three, cut);
		fake_gives(fake, three + cut, sizeof(three) - cut);
		assert_int_equal(run(), PCAP_TCP_WAIT);
		assert_int_equal(taken, 3);
		assert_int_equal(s.records, 3);
		assert_int_equal(fake->reads, 3);
	}
	connect_stream();
	for (i = 0; i < sizeof(three); i++)
		fake_gives(fake, three + i, 1);
	assert_int_equal(run(), PCAP_TCP_WAIT);
	assert_int_equal(taken, 3);
}

/* A Simple Packet Block has a header of 12 bytes. */
static void
there_is_room_in_front_of_a_packet(void **state)
{
	static const uint16_t version[2] = { 1, 0 }, linktype[2] = { 101, 0 };
	uint32_t start[] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 0, UINT32_MAX,
	    UINT32_MAX, 28, 1, 20, 0, 65535, 20 };
	const uint32_t packet[] = { 3, 20, 4, 0x45454545, 20 };

	(void)state;
	memcpy(start + 3, version, sizeof(version));
	memcpy(start + 9, linktype, sizeof(linktype));
	fake_gives(fake, start, sizeof(start));
	fake_gives(fake, packet, sizeof(packet));
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_true(pcap_tcp_stream_decode(&s, 0));
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_true(pcap_tcp_stream_decode(&s, 0));
	assert_true(pcap_tcp_stream_has_record(&s));
	assert_memory_equal(s.batch.next->data, "EEEE", 4);
	assert_true(s.batch.next->data - s.buffer >= PCAP_TCP_ETHERNET_SIZE);
}

static void
an_end_is_one_between_records_only(void **state)
{
	size_t len, i;

	(void)state;
	for (len = 0; len <= sizeof(three); len++) {
		connect_stream();
		if (len > 0)
			fake_gives(fake, three, len);
		fake_ends(fake);
		for (i = 0; i < 4 && boundary[i] < len; i++)
			;
		if (len == 0)
			assert_over(run(), PCAP_TCP_UNREACHABLE, ECONNRESET,
			    NAME " closed the connection before the stream "
			    "header");
		else if (len < FILE_HEADER)
			assert_over(run(), PCAP_TCP_UNREACHABLE, ECONNRESET,
			    NAME " closed the connection within the stream "
			    "header");
		else if (len == boundary[i])
			assert_over(run(), PCAP_TCP_END, 0, "end of stream");
		else
			assert_over(run(), PCAP_TCP_FAILED, ECONNRESET,
			    CUT_OFF);
		if (len >= FILE_HEADER)
			assert_int_equal(taken, len == boundary[i] ? i :
			    i - 1);
	}
}

static void
damage_comes_after_the_records_before_it(void **state)
{
	u_char bad[RECORD_HEADER];
	int reads;

	(void)state;
	put_record_header(bad, 4, 0, 0x7fffffff);
	fake_gives(fake, three, sizeof(three));
	fake_gives(fake, bad, sizeof(bad));
	fake_gives(fake, three, sizeof(three));
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_false(pcap_tcp_stream_pending(&s));
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 1);
	take_three();
	assert_int_equal(taken, 3);
	/* No event tells of it. */
	assert_true(pcap_tcp_stream_pending(&s));
	reads = fake->reads;
	assert_over(read_once(), PCAP_TCP_FAILED, EPROTO,
	    "Is the server properly installed? " NAME ": invalid packet "
	    "capture length 2147483647, bigger than maximum of 262144 (at "
	    "byte 81 of the stream)");
	assert_int_equal(fake->reads, reads);
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 0);
	assert_false(pcap_tcp_stream_has_record(&s));
	/* What is no stream at all is not waited for either. */
	connect_stream();
	assert_false(pcap_tcp_stream_pending(&s));
	fake_gives(fake, "HTTP/1.1 400", 12);
	assert_over(run(), PCAP_TCP_FAILED, EPROTO, NAME ": not a pcap stream "
	    "but an HTTP response: is this the right port?");
}

/* By how much of the stream was here. */
enum { BEFORE = 0, BETWEEN = FILE_HEADER, WITHIN = FILE_HEADER + 1 };

static void
each_fault_has_its_text(void **state)
{
	static const struct {
		size_t len;
		int error;
		const char *more;
		enum pcap_tcp_progress progress;
		const char *text;	/* NULL: errno's */
	} faults[] = {
		{ BEFORE, ECONNRESET, NULL, PCAP_TCP_UNREACHABLE, NULL },
		{ BEFORE, ETIMEDOUT, "x", PCAP_TCP_UNREACHABLE, NULL },
		{ BEFORE, EPROTO, NULL, PCAP_TCP_UNREACHABLE, NULL },
		{ BEFORE, EPROTO, "no", PCAP_TCP_UNREACHABLE, NAME ": no" },
		{ BEFORE, ECONNABORTED, "cut", PCAP_TCP_UNREACHABLE,
		    NAME ": cut" },
		{ BETWEEN, ECONNRESET, "x", PCAP_TCP_FAILED, CUT_OFF },
		{ BETWEEN, ETIMEDOUT, "x", PCAP_TCP_FAILED, NULL },
		{ BETWEEN, EPROTO, "no", PCAP_TCP_FAILED, NAME ": no" },
		{ BETWEEN, ECONNABORTED, "cut", PCAP_TCP_FAILED,
		    NAME ": cut" },
		{ BETWEEN, ECONNABORTED, NULL, PCAP_TCP_FAILED, NULL },
		{ WITHIN, ECONNRESET, NULL, PCAP_TCP_FAILED, CUT_OFF },
		{ WITHIN, ECONNABORTED, "cut", PCAP_TCP_FAILED, CUT_OFF },
		{ WITHIN, EPROTO, "no", PCAP_TCP_FAILED, NAME ": no" },
		{ WITHIN, EHOSTUNREACH, NULL, PCAP_TCP_FAILED, NULL },
	};
	char text[PCAP_ERRBUF_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		connect_stream();
		if (faults[i].len > 0)
			fake_gives(fake, three, faults[i].len);
		fake_fails(fake, faults[i].error, faults[i].more);
		snprintf(text, sizeof(text), NAME ": %s",
		    strerror(faults[i].error));
		assert_over(run(), faults[i].progress, faults[i].error,
		    faults[i].text != NULL ? faults[i].text : text);
	}
}

/* A long name leaves room for the rest, whoever says it. */
static void
a_long_name_is_cut(void **state)
{
	char name[128], text[PCAP_ERRBUF_SIZE];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	s.peer = name;
	snprintf(text, sizeof(text), "%.90s: no", name);
	fake_fails(fake, EPROTO, "no");
	assert_over(run(), PCAP_TCP_UNREACHABLE, EPROTO, text);
	connect_stream();
	fake_gives(fake, "SSH-2.0-x", 9);
	snprintf(text, sizeof(text), "%.90s: not a pcap stream but an SSH "
	    "server: is this the right port?", name);
	assert_over(run(), PCAP_TCP_FAILED, EPROTO, text);
}

static void
an_error_may_come_from_elsewhere(void **state)
{
	char text[PCAP_ERRBUF_SIZE];

	(void)state;
	snprintf(text, sizeof(text), NAME ": %s", strerror(ENOMEM));
	pcap_tcp_stream_restart(&s, NULL);
	assert_over(pcap_tcp_stream_fail(&s, ENOMEM), PCAP_TCP_UNREACHABLE,
	    ENOMEM, text);
	snprintf(text, sizeof(text), NAME ": %s", strerror(EPROTO));
	assert_over(pcap_tcp_stream_fail(&s, EPROTO), PCAP_TCP_UNREACHABLE,
	    EPROTO, text);
}

static void
waits_only_where_there_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	fake_fails(fake, EINTR, NULL);
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 0);
	fake_fails(fake, EAGAIN, NULL);
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	assert_false(pcap_tcp_stream_pending(&s));
	fake->pending = 1;
	assert_true(pcap_tcp_stream_pending(&s));
	pcap_tcp_stream_restart(&s, NULL);
	assert_false(pcap_tcp_stream_pending(&s));
}

static void
decodes_no_further_than_it_is_told(void **state)
{
	u_char buf[FILE_HEADER + (PCAP_TCP_BATCH + 1) * RECORD_HEADER];
	size_t n;
	uint32_t i;

	(void)state;
	n = put_file_header(buf, 65535, 1);
	for (i = 0; i <= PCAP_TCP_BATCH; i++)
		n += put_packet(buf + n, i, 0);
	fake_gives(fake, buf, n);
	assert_int_equal(pcap_tcp_stream_decode(&s, 1), 0);
	assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
	assert_int_equal(pcap_tcp_stream_decode(&s, 1), 1);
	assert_true(s.decoder.started);
	assert_false(pcap_tcp_stream_has_record(&s));
	assert_int_equal(pcap_tcp_stream_decode(&s, 1), 0);
	/* A batch at a time, the rest without another read. */
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 1);
	assert_int_equal(s.batch.end - s.batch.next, PCAP_TCP_BATCH);
	assert_int_equal(s.records, PCAP_TCP_BATCH);
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 1);
	assert_int_equal(s.batch.end - s.batch.next, 1);
	assert_packet(s.batch.next, PCAP_TCP_BATCH, 0);
	assert_int_equal(s.records, PCAP_TCP_BATCH + 1);
	assert_int_equal(pcap_tcp_stream_decode(&s, 0), 0);
	assert_false(pcap_tcp_stream_has_record(&s));
}

/*
 * A stream of a long packet, whose last byte comes later, and of a short one.
 */
static void
give_long(uint32_t caplen)
{
	u_char *buf = malloc(FILE_HEADER + 2 * RECORD_HEADER + caplen);
	size_t n;

	assert_non_null(buf);
	n = put_file_header(buf, 0x7fffffff, LINKTYPE_DBUS);
	n += put_packet(buf + n, 1, caplen);
	fake_gives(fake, buf, n - 1);
	fake_gives(fake, buf + n - 1, 1 + put_packet(buf + n, 2, 0));
	free(buf);
}

/* Reads and decodes until there is a record, or no progress. */
static enum pcap_tcp_progress
next_record(void)
{
	enum pcap_tcp_progress progress;

	do {
		progress = read_once();
		if (progress == PCAP_TCP_PROGRESS)
			(void)pcap_tcp_stream_decode(&s, 0);
	} while (progress == PCAP_TCP_PROGRESS &&
	    !pcap_tcp_stream_has_record(&s));
	return (progress);
}

static void
a_claim_gets_no_memory(void **state)
{
	u_char buf[FILE_HEADER + RECORD_HEADER];
	size_t n = put_file_header(buf, 0x7fffffff, LINKTYPE_DBUS);

	(void)state;
	put_record_header(buf + n, 1, 0, 100 * 1024 * 1024);
	fake_gives(fake, buf, sizeof(buf));
	assert_false(pcap_tcp_stream_is_stretched(&s));
	assert_int_equal(run(), PCAP_TCP_WAIT);
	assert_true(pcap_tcp_stream_is_stretched(&s));
	assert_int_equal(s.capacity, PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(bytes_left, ROOM);
}

/* A record, with its header, that just fits; and one that does not. */
static void
the_buffer_grows_for_a_long_record_and_shrinks(void **state)
{
	uint32_t caplen = PCAP_TCP_BUFFER_SIZE - RECORD_HEADER;

	(void)state;
	give_long(caplen);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_packet(s.batch.next, 1, caplen);
	assert_int_equal(s.capacity, PCAP_TCP_BUFFER_SIZE);

	connect_stream();
	give_long(++caplen);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_packet(s.batch.next, 1, caplen);
	assert_int_equal(s.capacity, 2 * PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(bytes_left, ROOM - PCAP_TCP_BUFFER_SIZE);

	connect_stream();
	give_long(3 * PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_packet(s.batch.next, 1, 3 * PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(s.capacity, 4 * PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(bytes_left, ROOM - 3 * PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(s.batch.end - s.batch.next, 2);
	assert_packet(s.batch.next + 1, 2, 0);
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	assert_int_equal(s.capacity, PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(bytes_left, ROOM);
	/* teardown() sees that what is left is given back at the end. */
	connect_stream();
	give_long(caplen);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_int_equal(bytes_left, ROOM - PCAP_TCP_BUFFER_SIZE);
}

/* Not before all that is in it fits, nor with another long one to come. */
static void
the_buffer_shrinks_only_when_it_may(void **state)
{
	const uint32_t caplen = 2 * PCAP_TCP_BUFFER_SIZE, many = 40000;
	u_char *buf = malloc(FILE_HEADER + caplen +
	    (many + 2) * RECORD_HEADER);
	size_t n;
	uint32_t i = 1;

	(void)state;
	assert_non_null(buf);
	n = put_file_header(buf, 0x7fffffff, LINKTYPE_DBUS);
	n += put_packet(buf + n, i, caplen);
	while (++i <= many)
		n += put_packet(buf + n, i, 0);
	n += put_record_header(buf + n, i, 0, caplen);
	fake_gives(fake, buf, n);
	free(buf);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_packet(s.batch.next++, 1, caplen);
	for (i = 2; i <= many; i++) {
		if (!pcap_tcp_stream_has_record(&s)) {
			if (s.in.left >= PCAP_TCP_BUFFER_SIZE)
				(void)read_once();
			(void)pcap_tcp_stream_decode(&s, 0);
		}
		assert_packet(s.batch.next++, i, 0);
	}
	(void)pcap_tcp_stream_decode(&s, 0);
	assert_true(pcap_tcp_stream_is_stretched(&s));
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	assert_int_equal(s.capacity, 4 * PCAP_TCP_BUFFER_SIZE);
}

static void
all_senders_together_have_a_limit(void **state)
{
	const uint32_t caplen = PCAP_TCP_BUFFER_SIZE;

	(void)state;
	/* Up to the limit, and no byte more. */
	bytes_left = PCAP_TCP_BUFFER_SIZE;
	give_long(caplen);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_int_equal(bytes_left, 0);
	connect_stream();
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	assert_int_equal(bytes_left, PCAP_TCP_BUFFER_SIZE);
	bytes_left--;
	give_long(caplen);
	assert_over(next_record(), PCAP_TCP_FAILED, ENOMEM,
	    NAME ": no room for a record of 524304 bytes: the senders together "
	    "have all that they may");
	assert_int_equal(bytes_left, PCAP_TCP_BUFFER_SIZE - 1);
	bytes_left = ROOM;
}

static void
those_that_we_connect_to_have_none(void **state)
{
	(void)state;
	pcap_tcp_stream_free(&s);
	open_stream(NULL);
	connect_stream();
	give_long(PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(next_record(), PCAP_TCP_PROGRESS);
	assert_int_equal(s.capacity, 2 * PCAP_TCP_BUFFER_SIZE);
	connect_stream();
	assert_int_equal(read_once(), PCAP_TCP_WAIT);
	assert_int_equal(s.capacity, PCAP_TCP_BUFFER_SIZE);
}

/* Whatever one connection left behind, the next one begins as the first. */
static void
a_restart_forgets_everything(void **state)
{
	size_t len;

	(void)state;
	for (len = 1; len <= sizeof(three); len++) {
		connect_stream();
		fake_gives(fake, three, len);
		assert_int_equal(read_once(), PCAP_TCP_PROGRESS);
		(void)pcap_tcp_stream_decode(&s, 0);
		connect_stream();
		assert_false(pcap_tcp_stream_has_record(&s));
		assert_false(pcap_tcp_stream_pending(&s));
		assert_false(pcap_tcp_stream_is_stretched(&s));
		assert_false(s.decoder.started);
		assert_int_equal(s.records, 0);
		assert_int_equal(pcap_tcp_stream_decode(&s, 0), 0);
		fake_gives(fake, three, sizeof(three));
		assert_int_equal(run(), PCAP_TCP_WAIT);
		assert_int_equal(taken, 3);
		assert_int_equal(s.records, 3);
		assert_int_equal(s.decoder.offset, sizeof(three));
	}
	connect_stream();
	fake_gives(fake, "HTTP", 4);
	assert_int_equal(run(), PCAP_TCP_FAILED);
	connect_stream();
	fake_gives(fake, three, sizeof(three));
	assert_int_equal(run(), PCAP_TCP_WAIT);
	assert_int_equal(taken, 3);
	/* An end before the header is one of this stream. */
	connect_stream();
	fake_ends(fake);
	assert_over(run(), PCAP_TCP_UNREACHABLE, ECONNRESET,
	    NAME " closed the connection before the stream header");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_may_cut_anywhere),
		TEST(there_is_room_in_front_of_a_packet),
		TEST(an_end_is_one_between_records_only),
		TEST(damage_comes_after_the_records_before_it),
		TEST(each_fault_has_its_text),
		TEST(a_long_name_is_cut),
		TEST(an_error_may_come_from_elsewhere),
		TEST(waits_only_where_there_is_nothing),
		TEST(decodes_no_further_than_it_is_told),
		TEST(a_claim_gets_no_memory),
		TEST(the_buffer_grows_for_a_long_record_and_shrinks),
		TEST(the_buffer_shrinks_only_when_it_may),
		TEST(all_senders_together_have_a_limit),
		TEST(those_that_we_connect_to_have_none),
		TEST(a_restart_forgets_everything),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
