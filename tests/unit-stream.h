/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-stream.h - a stream to decode, for the unit tests of the decoder
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
