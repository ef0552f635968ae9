/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-decoder - a libFuzzer target: the decoder, whole and in segments
 *
 * The input is a byte that the sizes of segments and batches come from, a byte
 * for the precision and for a link type that is given, and a stream.  Decoded as it arrives in segments, each in
 * a block of its own so that a read behind it is noticed, and in batches, the
 * first of them of no record, it has to give what it gives at once.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-decoder.h"
#include "fuzz.h"

#define MAX_BATCH	128

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
note(struct outcome *o, const struct pcap_tcp_record *r, const u_char *from,
    const u_char *to)
{
	bpf_u_int32 i;

	check(r->data >= from && r->data + r->h.caplen <= to);
	o->records++;
	o->sum = o->sum * 31 + (uint64_t)r->h.ts.tv_sec;
	o->sum = o->sum * 31 + (uint64_t)r->h.ts.tv_usec;
	o->sum = o->sum * 31 + r->h.len;
	o->sum = o->sum * 31 + (uint64_t)r->origin.swapped;
	for (i = 0; i < r->h.caplen; i++)
		o->sum = o->sum * 31 + r->data[i];
}

/*
 * Decodes what is here, up to n records, or only what starts the stream; *in
 * is as the last call left it.
 */
static void
decode_batch(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    const uint8_t *here, size_t n, struct outcome *o)
{
	struct pcap_tcp_record r[MAX_BATCH];
	u_char *block = malloc(in->left);
	size_t before = in->left, count, i;
	uint64_t offset = d->offset;

	memcpy(block, here, in->left);
	in->next = block;
	count = pcap_tcp_decode(d, in, r, n);
	check(count <= n && in->left <= before);
	check(in->next == block + (before - in->left));
	check(d->offset - offset == before - in->left);
	check(count == 0 || d->started);
	for (i = 0; i < count; i++)
		note(o, &r[i], i == 0 ? block : r[i - 1].data +
		    r[i - 1].h.caplen, in->next);
	/* The buffer doubles up to here. */
	if (!d->failed && in->needed > in->left)
		check(in->needed <= 128 * 1024 * 1024 + 131072 + 64);
	else
		check(d->failed || (n == 0 ? d->started : count == n));
	free(block);
}

/*
 * Segments are of up to step bytes, of all bytes if step is 0; batches of n
 * records, the first one of none if the stream comes in segments.
 */
static void
decode(const uint8_t *stream, size_t size, size_t step, size_t n,
    int precision, int dlt, struct outcome *o)
{
	struct pcap_tcp_decoding shared = { .linktypes = &linktypes,
	    .precision = precision, .dlt = dlt, .dlt_is_given = dlt != -1 };
	struct pcap_tcp_decoder d;
	struct pcap_tcp_input in = { NULL, 0, 1 };
	size_t here = 0;

	memset(o, 0, sizeof(*o));
	pcap_tcp_decoder_init(&d, &shared);
	while (!d.failed) {
		while (in.left < in.needed && here < size) {
			here = step == 0 || size - here < step ? size :
			    here + step;
			in.left = here - (size_t)d.offset;
		}
		if (in.left < in.needed)
			break;
		decode_batch(&d, &in, stream + d.offset,
		    step != 0 && !d.started ? 0 : n, o);
	}
	check(!d.failed || d.error[0] != '\0');
	o->error = d.failed;
	o->offset = d.offset;
	o->dropped = shared.dropped + shared.if_dropped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, parts;
	int precision, dlt;

	if (size < 2)
		return (0);
	precision = data[1] & 1 ? PCAP_TSTAMP_PRECISION_NANO :
	    PCAP_TSTAMP_PRECISION_MICRO;
	dlt = data[1] & 2 ? DLT_EN10MB : -1;
	decode(data + 2, size - 2, 0, MAX_BATCH, precision, dlt, &whole);
	decode(data + 2, size - 2, data[0] % 64 + 1U, data[0] / 64 + 1U,
	    precision, dlt, &parts);
	check(memcmp(&whole, &parts, sizeof(whole)) == 0);
	return (0);
}
