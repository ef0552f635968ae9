/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-decoder - bytes to records: pcap
 */

#include "unit-stream.h"

static void
reads_every_magic_order_and_precision(void **state)
{
	static const struct {
		uint32_t magic;
		int precision;
		uint32_t fraction;
	} cases[] = {
		{ USEC, PCAP_TSTAMP_PRECISION_MICRO, 123456 },
		{ USEC, PCAP_TSTAMP_PRECISION_NANO, 123456000 },
		{ NSEC, PCAP_TSTAMP_PRECISION_MICRO, 123 },
		{ NSEC, PCAP_TSTAMP_PRECISION_NANO, 123456 },
		{ KUZNETZOV, PCAP_TSTAMP_PRECISION_MICRO, 123456 },
		{ KUZNETZOV, PCAP_TSTAMP_PRECISION_NANO, 123456000 },
	};
	uint16_t one = 1;
	int host_is_big = *(u_char *)&one == 0, big_endian;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (big_endian = 0; big_endian < 2; big_endian++) {
			start(cases[i].precision, big_endian);
			put_header(cases[i].magic, 4, 65535, 101);
			assert_start();
			assert_int_equal(decoder.dlt, DLT_RAW);
			assert_int_equal(decoder.swapped,
			    big_endian != host_is_big);
			put_record(0xfffffff0U, 123456, 3, 60);
			if (cases[i].magic == KUZNETZOV)
				put_data(8);
			put_data(3);
			assert_record(0xfffffff0U, cases[i].fraction, 3, 60);
			assert_memory_equal(record.data, "\2\1\0", 3);
		}
	}
}

/* At every length short of an item, it says how much the item needs. */
static void
waits_for_the_last_byte(void **state)
{
	size_t len, end;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	for (len = 0; len < 24; len++)
		assert_more(len, len < 4 ? 4 : 24);
	assert_start();
	end = stream_len;
	put_record(1, 2, 10, 20);
	put_data(10);
	for (len = end; len < stream_len; len++)
		assert_more(len, len < end + 16 ? 16 : 26);
	assert_record(1, 2, 10, 20);
	assert_more(stream_len, 16);
}

static void
swaps_lengths_as_old_versions_do(void **state)
{
	(void)state;
	/* 2.2 and older: len first. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 2, 65535, 1);
	assert_start();
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
	/* 2.3: the smaller one is caplen. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 3, 65535, 1);
	assert_start();
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
	put_record(1, 2, 3, 9);
	put_data(3);
	assert_record(1, 2, 3, 9);
	/* 2.4: caplen first, even where it is the larger one. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	assert_start();
	put_record(1, 2, 9, 3);
	put_data(9);
	assert_record(1, 2, 9, 3);
	/* 543.0: DG/UX, len first. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 0, 65535, 1);
	stream[4] = 543 & 0xff;
	stream[5] = 543 >> 8;
	assert_start();
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
}

static void
takes_headers_as_the_file_reader_does(void **state)
{
	(void)state;
	/* FCS bits are no part of the link type. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_header(USEC, 4, 65535, 0x24000001);
	assert_start();
	assert_int_equal(decoder.dlt, 1);
	assert_int_equal(decoder.linktype_ext, 0x24000000);
}

/* Whatever the header says of the snapshot length. */
static void
takes_every_packet_whole(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 8, 1);
	assert_start();
	put_record(1, 0, 20, 60);
	put_data(20);
	put_record(2, 0, 0, 0);
	put_record(3, 0, 4, 2);
	put_data(4);
	put_record(4, 1000000, 8, 0);
	put_data(8);
	assert_record(1, 0, 20, 60);
	assert_record(2, 0, 0, 0);
	assert_record(3, 0, 4, 2);
	assert_record(4, 1000000, 8, 0);
	assert_int_equal(decoder.offset, stream_len);
}

static void
starts_afresh_at_a_second_header(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_record(1, 2, 3, 4);
	put_data(3);
	big = 1;
	put_header(NSEC, 3, 100, 0x24000001);
	put_record(5, 6000, 7, 8);
	put_data(7);
	assert_start();
	assert_record(1, 2, 3, 4);
	/* Not before all of it is here. */
	assert_more(43 + 23, 24);
	assert_int_equal(decoder.offset, 43);
	assert_more(43 + 24, 16);
	assert_int_equal(decoder.offset, 43 + 24);
	assert_int_equal(decoder.dlt, 1);
	assert_int_equal(decoder.linktype_ext, 0x24000000);
	assert_record(5, 6, 7, 8);
}

static int
is_big_endian(void)
{
	const uint16_t one = 1;

	return (*(const u_char *)&one == 0);
}

/*
 * Most records are decoded by the upper half of their time stamp alone; one
 * that has a magic number there must not hide a header behind it.
 */
static void
finds_a_header_after_any_time(void **state)
{
	static const uint32_t seconds[] = { 1700000000, USEC, NSEC, 0xa1b20000,
	    0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1, 0x0a0d0d0a, 0xd4c30000 };
	static const uint32_t magics[] = { USEC, NSEC, KUZNETZOV };
	size_t i, j;
	int order, swapped;

	(void)state;
	for (i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		for (j = 0; j < 6; j++) {
			order = j >= 3;
			/* First this machine's, for which all that is. */
			start(PCAP_TSTAMP_PRECISION_MICRO, is_big_endian());
			put_header(USEC, 4, 65535, 1);
			put_record(seconds[i], 999999, 0, 4);
			put_record(seconds[i] & 0xffff0000, 2, 1, 4);
			put_data(1);
			put_record(seconds[i] + 1, 1, 0, 4);
			swapped = order != big;
			big = order;
			put_header(magics[j % 3], 4, 65535, 1);
			assert_start();
			assert_record(seconds[i], 999999, 0, 4);
			assert_record(seconds[i] & 0xffff0000, 2, 1, 4);
			assert_record(seconds[i] + 1, 1, 0, 4);
			assert_more(stream_len, j % 3 == 2 ? 24 : 16);
			assert_int_equal(decoder.offset, stream_len);
			assert_int_equal(decoder.swapped, swapped);
		}
	}
}

/* What is asked for and not here yet is not looked at again. */
static void
returns_at_once_without_the_needed_bytes(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_record(1, 2, 3, 4);
	put_data(3);
	assert_int_equal(decode_batch(stream_len, stream_len + 1, &record, 1),
	    0);
	assert_int_equal(input.needed, stream_len + 1);
	assert_int_equal(decoder.offset, 0);
	assert_int_equal(decode_batch(stream_len, stream_len, &record, 1), 1);
	assert_int_equal(input.needed, 1);
}

/* No records, one header; and with a started stream, nothing at all. */
static void
stops_after_the_header(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_header(USEC, 4, 65535, 0x24000001);
	put_record(1, 2, 0, 4);
	assert_start();
	assert_int_equal(decoder.offset, 24);
	assert_int_equal(decoder.linktype_ext, 0);
	assert_int_equal(decode_batch(stream_len, 1, &record, 0), 0);
	assert_int_equal(decoder.offset, 24);
	assert_record(1, 2, 0, 4);
	assert_int_equal(decoder.linktype_ext, 0x24000000);
}

static void
fills_a_batch_and_leaves_the_rest(void **state)
{
	struct pcap_tcp_record r[4];
	uint32_t sec;
	size_t i;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, is_big_endian());
	put_header(USEC, 4, 65535, 1);
	for (sec = 1; sec <= 7; sec++) {
		/* The fifth is of another period. */
		put_record(sec == 5 ? 0x70000000 : sec, 0, sec, 60);
		put_data(sec);
	}
	assert_int_equal(decode_batch(stream_len, 1, r, 3), 3);
	assert_int_equal(decoder.offset, 24 + 3 * 16 + 1 + 2 + 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(r[i].h.ts.tv_sec, i + 1);
		assert_int_equal(r[i].data[0], i);
	}
	assert_int_equal(decode_batch(stream_len, 1, r, 4), 4);
	assert_int_equal(r[0].h.caplen, 4);
	assert_int_equal(r[1].h.ts.tv_sec, 0x70000000);
	assert_int_equal(r[3].h.ts.tv_sec, 7);
	assert_int_equal(decoder.offset, stream_len);
	/* What there is before an error is given, with the error. */
	put_record(8, 0, 0, 60);
	put_record(9, 0, 0x10000000, 60);
	assert_int_equal(decode_batch(stream_len, 1, r, 4), 1);
	assert_int_equal(r[0].h.ts.tv_sec, 8);
	assert_error("invalid packet capture length 268435456");
}

/* A device's link type is one for all its streams. */
static void
keeps_to_the_link_type(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	shared.dlt = DLT_RAW;
	put_header(USEC, 4, 65535, 1);
	assert_error("the link type is 1, the device's is RAW "
	    "(linktype=EN10MB takes both) (at byte 0 of");
	/* What is no network packet. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	shared.dlt = 189;
	put_header(USEC, 4, 65535, 1);
	assert_error("the link type is 1, the device's is 189 (at byte 0 of");
	assert_int_equal(decoder.dlt, -1);
	/* Another stream of the same peer, while the device has none. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 101);
	assert_start();
	pcap_tcp_decoder_restart(&decoder);
	assert_int_equal(decoder.dlt, DLT_RAW);
	stream_len = 0;
	put_header(USEC, 4, 65535, 1);
	assert_error("the link type is 1, the device's is RAW");
	/* A restart is a new chance. */
	pcap_tcp_decoder_restart(&decoder);
	stream_len = 0;
	put_header(USEC, 4, 65535, 101);
	assert_start();
	/* A second header in the stream. */
	put_header(USEC, 4, 65535, 1);
	assert_error("the link type is 1, the device's is RAW "
	    "(linktype=EN10MB takes both) (at byte 24 of");
}

/* With linktype=, others become Ethernet; each record has its own. */
static void
takes_what_becomes_ethernet(void **state)
{
	struct pcap_tcp_record r;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	shared.dlt = DLT_EN10MB;
	shared.dlt_is_given = 1;
	put_header(USEC, 4, 65535, 1);
	put_record(1, 2, 3, 4);
	put_data(3);
	assert_int_equal(decode_batch(stream_len, 1, &r, 1), 1);
	assert_int_equal(r.origin.dlt, DLT_EN10MB);
	assert_false(shared.is_mixed);
	put_header(USEC, 4, 65535, 101);
	put_record(1, 2, 3, 4);
	put_data(3);
	assert_int_equal(decode_batch(stream_len, 1, &r, 1), 1);
	assert_int_equal(r.origin.dlt, DLT_RAW);
	assert_true(shared.is_mixed);
	assert_int_equal(decoder.dlt, DLT_EN10MB);
	put_header(USEC, 4, 65535, 189);
	assert_error("the link type is 189, the device's is 1 (linktype=189 "
	    "takes it)");
	/* Nor does Ethernet become another one. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	shared.dlt = DLT_RAW;
	shared.dlt_is_given = 1;
	put_header(USEC, 4, 65535, 1);
	assert_error("the link type is 1, the device's is RAW "
	    "(linktype=EN10MB takes both)");
}

/* A packet of the year 2055 is a packet. */
static void
takes_no_packet_for_a_header(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_record(USEC, 500000, 3, 4);
	put_data(3);
	assert_start();
	assert_record(USEC, 500000, 3, 4);
}

static void
refuses_what_is_no_pcap_stream(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put(0x12345678, 4);
	assert_error("not a pcap or pcapng stream: it begins with 78 56 34 12");
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put(0x00000315, 4);
	assert_error("a TLS server (it sent an alert): did you mean tls:?");
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_header(USEC, 5, 65535, 1);
	assert_error("unsupported pcap version 2.5");
#ifdef LT_RESERVED1	/* libpcap 1.10.4 and older take it */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 0x00010001);
	assert_error("linktype reserved field not zero (0x00010000)");
#endif
}

static void
refuses_lengths_that_cannot_be(void **state)
{
	static const uint32_t lengths[] = { MAX_CAPLEN + 1, 0x7fffffff,
	    0x80000000U, 0xfffffff0U, 0xffffffffU };
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		start(PCAP_TSTAMP_PRECISION_MICRO, 0);
		put_header(USEC, 4, 65535, 1);
		put_record(1, 2, 0, 0);
		put_record(1, 2, lengths[i], 60);
		assert_start();
		assert_record(1, 2, 0, 0);
		snprintf(text, sizeof(text), "invalid packet capture length "
		    "%u, bigger than maximum of 262144 (at byte 40 of",
		    lengths[i]);
		assert_error(text);
	}
	/* Within a silly snapshot length, it is still too long. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 0x7fffffff, 1);
	put_record(1, 2, MAX_CAPLEN + 1, 60);
	assert_start();
	assert_error("bigger than maximum of 262144");
	/* The largest one that can be is waited for. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_record(1, 2, MAX_CAPLEN, 60);
	assert_start();
	assert_more(stream_len, MAX_CAPLEN + 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_magic_order_and_precision),
		cmocka_unit_test(waits_for_the_last_byte),
		cmocka_unit_test(swaps_lengths_as_old_versions_do),
		cmocka_unit_test(takes_headers_as_the_file_reader_does),
		cmocka_unit_test(takes_every_packet_whole),
		cmocka_unit_test(starts_afresh_at_a_second_header),
		cmocka_unit_test(finds_a_header_after_any_time),
		cmocka_unit_test(returns_at_once_without_the_needed_bytes),
		cmocka_unit_test(stops_after_the_header),
		cmocka_unit_test(fills_a_batch_and_leaves_the_rest),
		cmocka_unit_test(keeps_to_the_link_type),
		cmocka_unit_test(takes_what_becomes_ethernet),
		cmocka_unit_test(takes_no_packet_for_a_header),
		cmocka_unit_test(refuses_what_is_no_pcap_stream),
		cmocka_unit_test(refuses_lengths_that_cannot_be),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
