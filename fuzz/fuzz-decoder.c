/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-decoder - a libFuzzer target: the decoder, whole and in segments
 *
 * The input is a byte that the segments' sizes come from, a byte for the
 * precision, and a stream.  Decoded as it arrives in segments, each in a
 * block of its own so that a read behind it is noticed, it has to give what
 * it gives at once.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-decoder.h"

static int
linktype_to_dlt(int linktype)
{
	return (linktype == 101 ? DLT_RAW : linktype);
}

static u_int
max_snaplen_for_dlt(int dlt)
{
	return (dlt == DLT_DBUS ? 128 * 1024 * 1024 : 262144);
}

static const char *
dlt_name(int dlt)
{
	return (dlt == DLT_RAW ? "RAW" : NULL);
}

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, dlt_name
};

struct outcome {
	uint64_t records, sum, offset, dropped;
	int error;
};

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
note(struct outcome *o, const struct pcap_tcp_decoder *d,
    const struct pcap_tcp_record *r, const u_char *from, size_t len)
{
	bpf_u_int32 i;

	check(r->size > 0 && r->size <= len);
	check(r->data >= from && r->data + r->h.caplen <= from + r->size);
	check(d->started);
	o->records++;
	o->sum = o->sum * 31 + (uint64_t)r->h.ts.tv_sec;
	o->sum = o->sum * 31 + (uint64_t)r->h.ts.tv_usec;
	o->sum = o->sum * 31 + r->h.len;
	for (i = 0; i < r->h.caplen; i++)
		o->sum = o->sum * 31 + r->data[i];
}

/* Segments are of up to step bytes, of all bytes if step is 0. */
static void
decode(const uint8_t *stream, size_t size, size_t step, int precision,
    struct outcome *o)
{
	struct pcap_tcp_decoder d;
	struct pcap_tcp_record r = { .size = 1 };
	enum pcap_tcp_decoded decoded = PCAP_TCP_MORE;
	size_t here = 0, done = 0;
	u_char *block;

	memset(o, 0, sizeof(*o));
	pcap_tcp_decoder_init(&d, precision, &linktypes);
	for (;;) {
		while (here - done < r.size) {
			if (here == size)
				goto end;
			here = step == 0 || size - here < step ? size :
			    here + step;
		}
		block = malloc(here - done);
		memcpy(block, stream + done, here - done);
		r.size = 0;
		decoded = pcap_tcp_decode(&d, block, here - done, &r);
		if (decoded == PCAP_TCP_RECORD)
			note(o, &d, &r, block, here - done);
		free(block);
		if (decoded == PCAP_TCP_ERROR)
			break;
		if (decoded == PCAP_TCP_MORE) {
			/* The buffer doubles up to here. */
			check(r.size > here - done && r.size <=
			    128 * 1024 * 1024 + 131072 + 64);
			continue;
		}
		check(r.size > 0 && r.size <= here - done);
		done += r.size;
		r.size = 1;
	}
end:
	check(decoded != PCAP_TCP_ERROR || d.error[0] != '\0');
	check(d.offset == done);
	o->error = decoded == PCAP_TCP_ERROR;
	o->offset = d.offset;
	o->dropped = d.dropped + d.if_dropped;
	pcap_tcp_decoder_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, parts;
	int precision;

	if (size < 2)
		return (0);
	precision = data[1] & 1 ? PCAP_TSTAMP_PRECISION_NANO :
	    PCAP_TSTAMP_PRECISION_MICRO;
	decode(data + 2, size - 2, 0, precision, &whole);
	decode(data + 2, size - 2, data[0] % 64 + 1U, precision, &parts);
	check(memcmp(&whole, &parts, sizeof(whole)) == 0);
	return (0);
}
