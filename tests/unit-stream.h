/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-stream.h - a stream to decode, for the unit tests of the decoder
 */

#include "pcap-tcp-decoder.h"
#include "unit-linktypes.h"

#define USEC	0xa1b2c3d4U
#define NSEC	0xa1b23c4dU
#define KUZNETZOV	0xa1b2cd34U

/* A stream under construction, in the byte order that big says. */
static u_char stream[1024];
static size_t stream_len;
static int big;

static struct pcap_tcp_decoding shared;
static struct pcap_tcp_decoder decoder;
static struct pcap_tcp_input input;
static struct pcap_tcp_record record;	/* the last one */

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

static void
start(int precision, int big_endian)
{
	stream_len = 0;
	big = big_endian;
	shared = (struct pcap_tcp_decoding){ .linktypes = &linktypes,
	    .precision = precision, .dlt = -1 };
	pcap_tcp_decoder_init(&decoder, &shared);
}

/*
 * Decodes up to n records of what is behind the bytes that were decoded
 * before, of which needed are asked for; the stream has len bytes.
 */
static size_t
decode_batch(size_t len, size_t needed, struct pcap_tcp_record *r, size_t n)
{
	size_t done = (size_t)decoder.offset, count, i;
	u_char *exact = malloc(len > done ? len - done : 1);

	/* In a block of its own, so that a read behind it is noticed. */
	assert_non_null(exact);
	assert_true(len >= done);
	memcpy(exact, stream + done, len - done);
	input = (struct pcap_tcp_input){ exact, len - done, needed };
	count = pcap_tcp_decode(&decoder, &input, r, n);
	assert_true(count <= n);
	assert_ptr_equal(input.next, exact + (decoder.offset - done));
	assert_int_equal(input.left, len - decoder.offset);
	if (count < n)
		assert_true(decoder.failed || input.needed > input.left);
	for (i = 0; i < count; i++)
		r[i].data = stream + done + (r[i].data - exact);
	free(exact);
	return (count);
}

/* The same, one record, and it looks even if there is not a byte. */
static size_t
decode(size_t len)
{
	return (decode_batch(len, 0, &record, 1));
}

/* With len bytes of the stream there is no record before it has more. */
static void
assert_more(size_t len, size_t needed)
{
	assert_int_equal(decode(len), 0);
	assert_false(decoder.failed);
	assert_int_equal(input.needed, needed);
}

/* The stream starts, and no record is taken from it. */
static void
assert_start(void)
{
	assert_false(decoder.started);
	assert_int_equal(decode_batch(stream_len, 1, &record, 0), 0);
	assert_false(decoder.failed);
	assert_true(decoder.started);
}

static void
assert_record(uint32_t sec, uint32_t fraction, uint32_t caplen, uint32_t len)
{
	assert_int_equal(decode(stream_len), 1);
	assert_int_equal((uint32_t)record.h.ts.tv_sec, sec);
	assert_int_equal(record.h.ts.tv_usec, fraction);
	assert_int_equal(record.h.caplen, caplen);
	assert_int_equal(record.h.len, len);
	assert_int_equal(record.origin.swapped, decoder.swapped);
}

/* It fails for good. */
static void
assert_error(const char *text)
{
	assert_int_equal(decode(stream_len), 0);
	assert_true(decoder.failed);
	if (strstr(decoder.error, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", decoder.error, text);
	assert_int_equal(decode(stream_len), 0);
	assert_true(decoder.failed);
}
