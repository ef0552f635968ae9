/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-pcapng - bytes to records: pcapng, and both formats in one stream
 */

#include "unit-stream.h"

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
reads_pcapng_in_both_orders(void **state)
{
	int big_endian;

	(void)state;
	for (big_endian = 0; big_endian < 2; big_endian++) {
		start(PCAP_TSTAMP_PRECISION_NANO, big_endian);
		put_section();
		assert_more(stream_len, 12);
		assert_int_equal(decoder.offset, stream_len);
		assert_int_equal(decoder.started, 0);
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
		assert_start();
		/* The second interface is not what starts it. */
		assert_int_equal(decoder.ninterfaces, 1);
		assert_int_equal(decoder.dlt, 1);
		/* 2^32 + 2 microseconds, and 7 seconds. */
		assert_record(4294 + 7, 967298000, 5, 60);
		assert_memory_equal(record.data, "\4\3\2\1\0", 5);
		/* 62500000 * 2^32 + 3 nanoseconds. */
		assert_record(268435456, 3, 200, 200);
		assert_record(7, 0, 100, 150);
		assert_record(1, 1, 1, 1);
		assert_more(stream_len, 12);
	}
}

/* An SPB has no captured length: its interface's snapshot length tells. */
static void
takes_packets_beyond_the_snapshot_length_whole(void **state)
{
	static const struct {
		uint32_t len;
		size_t data;	/* with the padding */
		uint32_t caplen;
	} spbs[] = {
		{ 29, 32, 29 }, { 150, 32, 30 }, { 32, 32, 30 },
		{ 33, 36, 33 }, { 150, 152, 150 }, { 150, 40, 30 },
	};
	size_t i;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interface(30, 6, 0);
	put_interface(100, 6, 0);
	assert_start();
	put_packet(0, 0, 1, 60, 60, 60);
	assert_record(0, 1, 60, 60);
	for (i = 0; i < sizeof(spbs) / sizeof(spbs[0]); i++) {
		begin_block(3);
		put(spbs[i].len, 4);
		put_data(spbs[i].data);
		end_block();
		assert_record(0, 0, spbs[i].caplen, spbs[i].len);
	}
	/* The block is what it has to be in. */
	put_packet(0, 0, 1, 61, 61, 60);
	assert_error("too short");
}

static void
waits_for_the_last_byte_of_a_block(void **state)
{
	size_t len, begin;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 1);
	put_section();
	for (len = 0; len < stream_len; len++)
		assert_more(len, len < 4 ? 4 : len < 12 ? 12 : 28);
	put_interface(0, 6, 0);
	assert_start();
	begin = stream_len;
	put_packet(0, 0, 5, 6, 6, 6);
	for (len = begin; len < stream_len; len++)
		assert_more(len, len < begin + 12 ? 12 : 40);
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
		assert_start();
		assert_record(cases[i].sec, cases[i].nsec, 0, 0);
	}
}

/* Decodes what there is, of a stream that is longer than the array. */
static void
assert_taken(size_t records)
{
	struct pcap_tcp_record r[8];

	assert_int_equal(decode_batch(stream_len, 1, r, 8), records);
	assert_int_equal(decoder.offset, stream_len);
	stream_len = 0;
	decoder.offset = 0;
}

/* From interface i on, n more, all alike or of two units in turn. */
static void
put_interfaces(uint32_t i, uint32_t n, uint32_t kinds)
{
	for (; n > 0; n--, i++) {
		put_interface(0, i % kinds == 0 ? 3 : 0, 0);
		assert_taken(0);
	}
}

/* A packet of the interface has the time that its units make of 5000. */
static void
assert_interface(uint32_t i, uint32_t sec)
{
	put_packet(i, 0, 5000, 0, 0, 0);
	assert_record(sec, 0, 0, 0);
	assert_taken(0);
}

static void
keeps_interfaces_that_are_alike_in_no_more_memory(void **state)
{
	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interfaces(0, 200000, 1);
	put_interfaces(200001, 1, 2);
	put_interfaces(0, 200000, 1);
	assert_true(decoder.nentries == 3);
	assert_interface(0, 5);
	assert_interface(199999, 5);
	assert_interface(200000, 5000);
	assert_interface(200001, 5);
	assert_interface(400000, 5);
	put_packet(400001, 0, 5000, 0, 0, 0);
	assert_error("interface 400001, but there's no Interface Description "
	    "Block");
	/* A section has its own. */
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interfaces(0, 2, 2);
	put_section();
	put_interfaces(1, 1, 2);
	assert_interface(0, 5000);
	put_packet(1, 0, 5000, 0, 0, 0);
	assert_error("interface 1, but there's no Interface Description");
}

/* The first 4096 and the last 2048 are there in any case. */
static void
forgets_interfaces_when_there_are_too_many(void **state)
{
	uint32_t i, n = 30001;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interfaces(0, n, 2);
	for (i = 0; i < 4096; i++)
		assert_interface(i, i % 2 == 0 ? 5 : 5000);
	for (i = n - 2048; i < n; i++)
		assert_interface(i, i % 2 == 0 ? 5 : 5000);
	put_packet(4096, 0, 5000, 0, 0, 0);
	assert_error("a packet arrived on interface 4096, whose description "
	    "had to make room for later ones");
}

/* A block that is too long to be kept is taken as it arrives. */
static void
skips_a_long_block_in_pieces(void **state)
{
	uint32_t length = 17 * 1024 * 1024, left = length - 12;
	size_t i;

	(void)state;
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interface(0, 6, 0);
	assert_taken(0);
	put(0xbad, 4);
	put(length, 4);
	assert_more(stream_len, 12);
	put(0, 4);
	assert_taken(0);
	for (left -= 4; left > 0; left -= (uint32_t)i) {
		i = left < 1000 ? left : 1000;
		put_data(i);
		assert_taken(0);
	}
	put(length, 4);
	for (i = 0; i < 4; i++)
		assert_more(i, 4);
	assert_taken(0);
	put_packet(0, 0, 5, 6, 6, 6);
	assert_record(0, 5, 6, 6);
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
	assert_more(stream_len, 12);
	assert_int_equal(decoder.offset, stream_len);
	assert_true(shared.dropped == 9);
	assert_true(shared.if_dropped == (UINT64_C(1) << 32) + 2);
	/* The same counts of another stream are other packets. */
	pcap_tcp_decoder_restart(&decoder);
	assert_true(shared.dropped == 9);
	assert_more(stream_len, 12);
	assert_true(shared.dropped == 18);
}

/* A pcapng section, one in the other order, pcap, and pcapng again. */
static void
put_changes(void)
{
	start(PCAP_TSTAMP_PRECISION_MICRO, 0);
	put_section();
	put_interface(0, 6, 0);
	put_packet(0, 0, 1000001, 0, 59, 0);
	big = 1;
	put_section();
	put_interface(0, 3, 0);
	put_packet(0, 0, 1002, 0, 60, 0);
	put_header(NSEC, 4, 65535, 1);
	put_record(3, 4000, 0, 61);
	big = 0;
	put_section();
	put_packet(0, 0, 0, 0, 0, 0);
}

static void
changes_between_formats_and_orders(void **state)
{
	(void)state;
	put_changes();
	assert_start();
	assert_record(1, 1, 0, 59);
	assert_record(1, 2000, 0, 60);
	assert_record(3, 4, 0, 61);
	assert_error("a packet arrived on interface 0, but there's no");
}

/* Each record keeps the byte order of its own stream. */
static void
changes_within_a_batch(void **state)
{
	struct pcap_tcp_record r[4];
	int little, i;

	(void)state;
	put_changes();
	assert_int_equal(decode_batch(stream_len, 1, r, 4), 3);
	assert_true(decoder.failed);
	little = r[0].origin.swapped;
	for (i = 0; i < 3; i++) {
		assert_int_equal(r[i].h.len, 59 + i);
		assert_int_equal(r[i].origin.swapped,
		    i == 0 ? little : !little);
	}
	assert_int_equal(decoder.swapped, little);
	/* The next stream's header is left to the next batch. */
	put_changes();
	assert_int_equal(decode_batch(stream_len, 1, r, 2), 2);
	assert_int_equal(decoder.swapped, !little);
	assert_int_equal(stream[decoder.offset], 0xa1);
	assert_int_equal(decode_batch(stream_len, 1, r, 1), 1);
	assert_int_equal(r[0].h.len, 61);
	assert_false(decoder.failed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_pcapng_in_both_orders),
		cmocka_unit_test(
		    takes_packets_beyond_the_snapshot_length_whole),
		cmocka_unit_test(waits_for_the_last_byte_of_a_block),
		cmocka_unit_test(scales_binary_fractions),
		cmocka_unit_test(
		    keeps_interfaces_that_are_alike_in_no_more_memory),
		cmocka_unit_test(forgets_interfaces_when_there_are_too_many),
		cmocka_unit_test(skips_a_long_block_in_pieces),
		cmocka_unit_test(counts_what_the_sender_dropped),
		cmocka_unit_test(changes_between_formats_and_orders),
		cmocka_unit_test(changes_within_a_batch),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
