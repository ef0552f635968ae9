/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-link - a libFuzzer target: what becomes Ethernet, whatever it was
 *
 * The input is a stream for a device with linktype=EN10MB.  Its packets become
 * Ethernet in the buffer that they are in, in batches.  Nothing behind their
 * new headers changes, by a header of another packet either, and each of them
 * is in the buffer, or was left out and counted.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-decoder.h"
#include "pcap-tcp-link.h"
#include "fuzz.h"

#define HEADROOM	PCAP_TCP_ETHERNET_SIZE
#define BATCH		16

static int
linktype_to_dlt(int linktype)
{
	return (linktype == 101 ? DLT_RAW : linktype);
}

static u_int
max_snaplen_for_dlt(int dlt)
{
	(void)dlt;
	return (262144);
}

static const char *
dlt_name(int dlt)
{
	(void)dlt;
	return (NULL);
}

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, dlt_name
};

/* Of bytes that are at from in the buffer, and were at original. */
static void
check_batch(const struct pcap_tcp_record *r, size_t n, const u_char *from,
    const u_char *original, size_t size)
{
	size_t at, header;

	for (; n > 0; n--, r++) {
		header = r->origin.dlt == DLT_EN10MB ? 0 :
		    PCAP_TCP_ETHERNET_SIZE;
		check(r->data >= from);
		at = (size_t)(r->data - from);
		check(at <= size && r->h.caplen <= size - at &&
		    r->h.caplen >= header);
		check(header == 0 || r->h.len >= header);
		check(memcmp(r->data + header, original + at + header,
		    r->h.caplen - header) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pcap_tcp_decoder d;
	struct pcap_tcp_decoding shared = { .linktypes = &linktypes,
	    .dlt = DLT_EN10MB, .dlt_is_given = 1 };
	struct pcap_tcp_ethernet e = { .is_needed = &shared.is_mixed };
	struct pcap_tcp_record r[BATCH];
	u_char *buffer = calloc(2, HEADROOM + size), *original;
	struct pcap_tcp_input in = { buffer + HEADROOM, size, 1 };
	uint64_t left_out;
	size_t n, left;

	check(buffer != NULL);
	original = buffer + HEADROOM + size;
	if (size > 0)
		memcpy(buffer + HEADROOM, data, size);
	memcpy(original, buffer, HEADROOM + size);
	pcap_tcp_decoder_init(&d, &shared);
	while ((n = pcap_tcp_decode(&d, &in, r, BATCH)) > 0) {
		left_out = e.left_out;
		left = pcap_tcp_ethernet_stage(&e, r, n);
		check(left <= n && e.left_out - left_out == n - left);
		check_batch(r, left, buffer, original, HEADROOM + size);
	}
	free(buffer);
	return (0);
}
