/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.c - from the bytes of a stream to its records: which
 * format it has
 */

#include <stdlib.h>

#include "pcap-tcp-decoder.h"
#include "pcap-tcp-pcap.h"
#include "pcap-tcp-pcapng.h"
#include "pcap-tcp-refusal.h"

/* The first bytes of a stream tell what it is. */
static enum pcap_tcp_decoded
start(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *b)
{
	uint32_t magic;

	(void)b;
	if (in->left < sizeof(magic))
		return (pcap_tcp_more(in, sizeof(magic)));
	magic = get32(in->next, 0);
	if (pcap_tcp_is_pcap_magic(magic) ||
	    pcap_tcp_is_pcap_magic(swap32(magic)))
		return (pcap_tcp_pcap_start(d, in));
	if (magic == BT_SHB) {
		if (in->left < 12)
			return (pcap_tcp_more(in, 12));
		if (pcap_tcp_is_section_header(in->next))
			return (pcap_tcp_pcapng_start(d, in));
	}
	return (pcap_tcp_refuse(d, in->next, in->left));
}

void
pcap_tcp_decoder_restart(struct pcap_tcp_decoder *d)
{
	d->run = start;
	d->started = 0;
	d->offset = 0;
	d->failed = 0;
}

void
pcap_tcp_decoder_init(struct pcap_tcp_decoder *d,
    struct pcap_tcp_decoding *shared)
{
	memset(d, 0, sizeof(*d));
	d->shared = shared;
	d->dlt = -1;
	pcap_tcp_decoder_restart(d);
}

void
pcap_tcp_decoder_free(struct pcap_tcp_decoder *d)
{
	free(d->interfaces);
	d->interfaces = NULL;
}

size_t
pcap_tcp_decode(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_record *r, size_t n)
{
	struct pcap_tcp_batch b = { r, r + n };
	enum pcap_tcp_decoded decoded = PCAP_TCP_SKIP;

	if (d->failed || in->left < in->needed)
		return (0);
	in->needed = 1;
	while ((decoded == PCAP_TCP_SKIP || decoded == PCAP_TCP_RESTART) &&
	    (!d->started || b.next != b.end)) {
		decoded = d->run(d, in, &b);
		if (decoded == PCAP_TCP_RESTART)
			d->run = start;
	}
	d->failed = decoded == PCAP_TCP_ERROR;
	return ((size_t)(b.next - r));
}
