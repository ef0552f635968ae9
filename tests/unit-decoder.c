/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-decoder - bytes to records
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-decoder.h"

#define USEC	0xa1b2c3d4U
#define NSEC	0xa1b23c4dU
#define KUZNETZOV	0xa1b2cd34U
#define MAX_CAPLEN	262144

/* A stream under construction, in the byte order that big says. */
static u_char stream[1024];
static size_t stream_len;
static int big;

static struct pcap_tcp_decoder decoder;
static struct pcap_tcp_record record;

static int
linktype_to_dlt(int linktype)
{
	return (linktype == 101 ? DLT_RAW : linktype);
}

static u_int
max_snaplen_for_dlt(int dlt)
{
	return (dlt == DLT_DBUS ? 128 * 1024 * 1024 : MAX_CAPLEN);
}

static const char *
dlt_name(int dlt)
{
	return (dlt == DLT_RAW ? "RAW" : NULL);
}

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, dlt_name
};

static void
put(uint32_t v, int bytes)
{
	int i;

	for (i = 0; i < bytes; i++)
		stream[stream_len++] =
		    (u_char)(v >> 8 * (big ? bytes - 1 - i : i));
}

static void
put_header(uint32_t magic, uint16_t minor, uint32_t snaplen, uint32_t linktype)
{
	put(magic, 4);
	put(2, 2);
	put(minor, 2);
	put(0, 4);
	put(0, 4);
	put(snaplen, 4);
	put(linktype, 4);
}

static void
put_record(uint32_t sec, uint32_t fraction, uint32_t caplen, uint32_t len)
{
	put(sec, 4);
	put(fraction, 4);
	put(caplen, 4);
	put(len, 4);
}

static void
put_data(size_t n)
{
	while (n-- > 0)
		stream[stream_len++] = (u_char)n;
}

/* pcapng: a block is begun, filled and ended. */
static size_t block_start;

static void
begin_block(uint32_t type)
{
	block_start = stream_len;
	put(type, 4);
	put(0, 4);
}

static void
end_block(void)
{
	size_t end;

	while (stream_len % 4 != block_start % 4)
		put(0, 1);
	put((uint32_t)(stream_len + 4 - block_start), 4);
	end = stream_len;
	stream_len = block_start + 4;
	put((uint32_t)(end - block_start), 4);
	stream_len = end;
}

static void
put_section(void)
{
	begin_block(0x0a0d0d0a);
	put(0x1a2b3c4d, 4);
	put(1, 2);
	put(0, 2);
	put(0xffffffffU, 4);
	put(0xffffffffU, 4);
	end_block();
}

static void
put_interface(uint32_t snaplen, int tsresol, uint32_t offset)
{
	begin_block(1);
	put(1, 2);
	put(0, 2);
	put(snaplen, 4);
	put(9, 2);
	put(1, 2);
	put((uint32_t)tsresol, 1);
	put(0, 3);
	put(14, 2);
	put(8, 2);
	put(big ? 0 : offset, 4);
	put(big ? offset : 0, 4);
	put(0, 4);
	end_block();
}

static void
put_packet(uint32_t interface, uint32_t high, uint32_t low, uint32_t caplen,
    uint32_t len, size_t data)
{
	begin_block(6);
	put(interface, 4);
	put(high, 4);
	put(low, 4);
	put(caplen, 4);
	put(len, 4);
	put_data(data);
	end_block();
}

static void
start(int precision, int big_endian)
{
	stream_len = 0;
	big = big_endian;
	pcap_tcp_decoder_free(&decoder);
	pcap_tcp_decoder_init(&decoder, precision, &linktypes);
}

/* Decodes what follows the len bytes that were decoded before. */
static enum pcap_tcp_decoded
decode(size_t len)
{
	size_t done = (size_t)decoder.offset;
	u_char *exact = malloc(len > done ? len - done : 1);
	enum pcap_tcp_decoded decoded;

	/* In a block of its own, so that a read behind it is noticed. */
	assert_non_null(exact);
	assert_true(len >= done);
	memcpy(exact, stream + done, len - done);
	decoded = pcap_tcp_decode(&decoder, exact, len - done, &record);
	if (decoded == PCAP_TCP_RECORD)
		record.data = stream + done + (record.data - exact);
	free(exact);
	return (decoded);
}

static void
assert_record(uint32_t sec, uint32_t fraction, uint32_t caplen, uint32_t len)
{
	assert_int_equal(decode(stream_len), PCAP_TCP_RECORD);
	assert_int_equal((uint32_t)record.h.ts.tv_sec, sec);
	assert_int_equal(record.h.ts.tv_usec, fraction);
	assert_int_equal(record.h.caplen, caplen);
	assert_int_equal(record.h.len, len);
}

static void
assert_error(const char *text)
{
	assert_int_equal(decode(stream_len), PCAP_TCP_ERROR);
	if (strstr(decoder.error, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", decoder.error, text);
}

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
			assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
			assert_int_equal(decoder.dlt, DLT_RAW);
			assert_int_equal(decoder.snaplen, 65535);
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
	for (len = 0; len < 24; len++) {
		assert_int_equal(decode(len), PCAP_TCP_MORE);
		assert_int_equal(record.size, len < 4 ? 4 : 24);
	}
	assert_int_equal(decode(24), PCAP_TCP_SKIP);
	end = stream_len;
	put_record(1, 2, 10, 20);
	put_data(10);
	for (len = end; len < stream_len; len++) {
		assert_int_equal(decode(len), PCAP_TCP_MORE);
		assert_int_equal(record.size, len < end + 16 ? 16 : 26);
	}
	assert_record(1, 2, 10, 20);
	assert_int_equal(decode(stream_len), PCAP_TCP_MORE);
}

static void
swaps_lengths_as_old_versions_do(void **state)
{
	(void)state;
	/* 2.2 and older: len first. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 2, 65535, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
	/* 2.3: the smaller one is caplen. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 3, 65535, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
	put_record(1, 2, 3, 9);
	put_data(3);
	assert_record(1, 2, 3, 9);
	/* 2.4: caplen first, even where it is the larger one. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	put_record(1, 2, 9, 3);
	put_data(9);
	assert_record(1, 2, 9, 3);
	/* 543.0: DG/UX, len first. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 0, 65535, 1);
	stream[4] = 543 & 0xff;
	stream[5] = 543 >> 8;
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	put_record(1, 2, 9, 3);
	put_data(3);
	assert_record(1, 2, 3, 9);
}

static void
takes_headers_as_the_file_reader_does(void **state)
{
	(void)state;
	/* The snapshot length, where it says nothing sane. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 0, 231);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.snaplen, 128 * 1024 * 1024);
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 0x80000000U, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.snaplen, MAX_CAPLEN);
	/* FCS bits are no part of the link type. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_header(USEC, 4, 65535, 0x24000001);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.dlt, 1);
	assert_int_equal(decoder.linktype_ext, 0x24000000);
	/* Kuznetzov's cooked Ethernet is 14 bytes longer. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(KUZNETZOV, 4, 100, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.snaplen, 114);
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(KUZNETZOV, 4, 0x7fffffff, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.snaplen, 0x7fffffff);
}

static void
cuts_to_the_snapshot_and_keeps_in_step(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 8, 1);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	put_record(1, 0, 20, 60);
	put_data(20);
	put_record(2, 0, 0, 0);
	put_record(3, 0, 4, 2);
	put_data(4);
	put_record(4, 1000000, 8, 0);
	put_data(8);
	assert_record(1, 0, 8, 60);
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
	put_header(NSEC, 3, 100, 1);
	put_record(5, 6000, 7, 8);
	put_data(7);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_record(1, 2, 3, 4);
	/* Not before all of it is here. */
	assert_int_equal(decode(43 + 23), PCAP_TCP_MORE);
	assert_int_equal(record.size, 24);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decoder.dlt, 1);
	assert_int_equal(decoder.snaplen, 100);
	assert_record(5, 6, 7, 8);
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
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_record(USEC, 500000, 3, 4);
}

static void
refuses_what_is_no_pcap_stream(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put(0x12345678, 4);
	assert_error("not a pcap or pcapng stream: it begins with 78 56 34 12");
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
		assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
		assert_record(1, 2, 0, 0);
		snprintf(text, sizeof(text), "invalid packet capture length "
		    "%u, bigger than snaplen of 65535 (at byte 40 of",
		    lengths[i]);
		assert_error(text);
	}
	/* Within a silly snapshot length, it is still too long. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 0x7fffffff, 1);
	put_record(1, 2, MAX_CAPLEN + 1, 60);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_error("bigger than maximum of 262144");
	/* The largest one that can be is waited for. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_header(USEC, 4, 65535, 1);
	put_record(1, 2, MAX_CAPLEN, 60);
	assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
	assert_int_equal(decode(stream_len), PCAP_TCP_MORE);
	assert_int_equal(record.size, MAX_CAPLEN + 16);
}

static void
pass_blocks(int blocks)
{
	while (blocks-- > 0)
		assert_int_equal(decode(stream_len), PCAP_TCP_SKIP);
}

static void
reads_pcapng_in_both_orders(void **state)
{
	int big_endian;

	(void)state;
	for (big_endian = 0; big_endian < 2; big_endian++) {
		start(PCAP_TSTAMP_PRECISION_NANO, big_endian);
		put_section();
		put_interface(100, 6, 7);
		put_interface(0, 9, 0);
		put_packet(0, 1, 2, 5, 60, 5);
		put_packet(1, 0x3b9aca0, 3, 200, 200, 200);
		begin_block(3);		/* SPB */
		put(150, 4);
		put_data(100);
		end_block();
		begin_block(2);		/* PB */
		put(1, 2);
		put(9, 2);
		put(0, 4);
		put(1000000001, 4);
		put(1, 4);
		put(1, 4);
		put_data(1);
		end_block();
		pass_blocks(1);
		assert_int_equal(decoder.started, 0);
		pass_blocks(2);
		assert_int_equal(decoder.started, 1);
		assert_int_equal(decoder.dlt, 1);
		assert_int_equal(decoder.snaplen, MAX_CAPLEN);
		/* 2^32 + 2 microseconds, and 7 seconds. */
		assert_record(4294 + 7, 967298000, 5, 60);
		assert_memory_equal(record.data, "\4\3\2\1\0", 5);
		/* 62500000 * 2^32 + 3 nanoseconds. */
		assert_record(268435456, 3, 200, 200);
		assert_record(7, 0, 100, 150);
		assert_record(1, 1, 1, 1);
		assert_int_equal(decode(stream_len), PCAP_TCP_MORE);
	}
}

static void
waits_for_the_last_byte_of_a_block(void **state)
{
	size_t len, begin;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_section();
	for (len = 0; len < stream_len; len++) {
		assert_int_equal(decode(len), PCAP_TCP_MORE);
		assert_int_equal(record.size, len < 4 ? 4 : len < 12 ? 12 : 28);
	}
	put_interface(0, 6, 0);
	pass_blocks(2);
	begin = stream_len;
	put_packet(0, 0, 5, 6, 6, 6);
	for (len = begin; len < stream_len; len++) {
		assert_int_equal(decode(len), PCAP_TCP_MORE);
		assert_int_equal(record.size, len < begin + 12 ? 12 : 40);
	}
	assert_record(0, 5, 6, 6);
}

/* Units finer than 2^-34 seconds don't overflow, on 32 bits neither. */
static void
scales_binary_fractions(void **state)
{
	static const struct {
		int shift;
		uint32_t high, low, sec, nsec;
	} cases[] = {
		{ 0, 0, 5, 5, 0 },
		{ 1, 0, 3, 1, 500000000 },
		{ 32, 7, 0x80000000U, 7, 500000000 },
		{ 33, 7, 0x80000000U, 3, 750000000 },
		{ 40, 0x100, 0, 1, 0 },
		{ 62, 0x40000000, 0xffffffffU, 1, 0 },
		{ 63, 0xffffffffU, 0xffffffffU, 1, 999999999 },
		{ 63, 0x40000000, 0, 0, 500000000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(PCAP_TSTAMP_PRECISION_NANO, 0);
		put_section();
		put_interface(0, 0x80 | cases[i].shift, 0);
		put_packet(0, cases[i].high, cases[i].low, 0, 0, 0);
		pass_blocks(2);
		assert_record(cases[i].sec, cases[i].nsec, 0, 0);
	}
}

static void
counts_what_the_sender_dropped(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_section();
	put_interface(0, 6, 0);
	begin_block(5);
	put(0, 4);
	put(0, 4);
	put(0, 4);
	put(7, 2);
	put(8, 2);
	put(0, 4);
	put(9, 4);
	put(5, 2);
	put(8, 2);
	put(1, 4);
	put(2, 4);
	end_block();
	pass_blocks(3);
	assert_true(decoder.dropped == 9);
	assert_true(decoder.if_dropped == (UINT64_C(1) << 32) + 2);
	pcap_tcp_decoder_restart(&decoder);
	assert_true(decoder.dropped == 9);
}

static void
changes_between_formats_and_orders(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interface(0, 6, 0);
	big = 1;
	put_section();
	put_interface(0, 3, 0);
	put_packet(0, 0, 1002, 0, 60, 0);
	put_header(NSEC, 4, 65535, 1);
	put_record(3, 4000, 0, 61);
	big = 0;
	put_section();
	put_packet(0, 0, 0, 0, 0, 0);
	pass_blocks(4);
	assert_record(1, 2000, 0, 60);
	pass_blocks(1);
	assert_record(3, 4, 0, 61);
	pass_blocks(1);
	assert_error("a packet arrived on interface 0, but there's no");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_magic_order_and_precision),
		cmocka_unit_test(waits_for_the_last_byte),
		cmocka_unit_test(swaps_lengths_as_old_versions_do),
		cmocka_unit_test(takes_headers_as_the_file_reader_does),
		cmocka_unit_test(cuts_to_the_snapshot_and_keeps_in_step),
		cmocka_unit_test(starts_afresh_at_a_second_header),
		cmocka_unit_test(takes_no_packet_for_a_header),
		cmocka_unit_test(refuses_what_is_no_pcap_stream),
		cmocka_unit_test(refuses_lengths_that_cannot_be),
		cmocka_unit_test(reads_pcapng_in_both_orders),
		cmocka_unit_test(waits_for_the_last_byte_of_a_block),
		cmocka_unit_test(scales_binary_fractions),
		cmocka_unit_test(counts_what_the_sender_dropped),
		cmocka_unit_test(changes_between_formats_and_orders),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
