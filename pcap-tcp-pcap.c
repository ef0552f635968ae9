/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-pcap.c - the records of a pcap stream
 */

#include "pcap-tcp-format.h"

#define FILE_HEADER_SIZE	24U
#define RECORD_HEADER_SIZE	16U
#define KUZNETZOV_HEADER_SIZE	24U	/* + index, protocol, packet type */

#define NO_PERIOD	0x10000U	/* no time stamp is in it */

/*
 * Where a record's header is stands in the one before, so that a processor
 * cannot run ahead, and would wait for the cache at each header.
 */
#define LOOK_AHEAD	512	/* bytes; those of a few small packets */
#ifdef __GNUC__
#define prefetch(address)	__builtin_prefetch((const void *)(address))
#else
#define prefetch(address)	((void)(address))
#endif

/* Before it was in <pcap/pcap.h>, in 1.10.5, libpcap took 26 bits of it. */
#ifndef LT_RESERVED1
#define LT_LINKTYPE(x)		((x) & 0x03FFFFFF)
#define LT_LINKTYPE_EXT(x)	((x) & 0xFC000000)
#define LT_RESERVED1(x)		0U
#endif

/*
 * Nearly all records are in this machine's byte order, need no scaling and
 * are of the same 18 hours, a period, as one that was found to be no stream
 * header.  These are decoded here, up to the first one that is not like that
 * or not all here.
 */
static void
decode_period(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *b)
{
	const uint32_t period = d->period, longest = d->longest;
	const size_t left = in->left;
	const struct pcap_tcp_origin origin = d->origin;
	struct pcap_tcp_record *r = b->next, *end = b->end;
	u_char *p = in->next;
	size_t at = 0, data, next;
	uint32_t sec, lengths[2];	/* captured, on the wire */

	for (; r != end; r++, at = next) {
		data = at + RECORD_HEADER_SIZE;
		if (data > left)
			break;
		sec = get32(p + at, 0);
		if (sec >> 16 != period)
			break;
		prefetch((uintptr_t)p + at + LOOK_AHEAD);
		memcpy(lengths, p + at + 8, sizeof(lengths));
		next = data + lengths[0];
		if (lengths[0] > longest || next > left)
			break;
		r->h.ts.tv_sec = (time_t)sec;
		r->h.ts.tv_usec = (suseconds_t)get32(p + at + 4, 0);
		r->h.caplen = lengths[0];
		r->h.len = lengths[1];
		r->data = p + data;
		r->origin = origin;
	}
	b->next = r;
	pcap_tcp_take(d, in, at);
}

/*
 * May a stream header stand where a record is due?  By the upper half of a
 * pcap magic or of a section header's type, in either byte order.
 */
static int
may_be_header(uint32_t first)
{
	switch (first >> 16) {

	case MAGIC_USEC >> 16:		/* and of the other two */
	case 0xd4c3:
	case 0x4d3c:
	case 0x34cd:
	case BT_SHB >> 16:
		return (1);
	}
	return (0);
}

/*
 * A record that decode_period() leaves to this: the first one of each period,
 * and all of a stream that is in the other byte order, or the like.
 */
static enum pcap_tcp_decoded
decode_record(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_record *r)
{
	const u_char *p = in->next;
	uint32_t sec, fraction, caplen, len;

	if (in->left < d->header_size)
		return (pcap_tcp_more(in, d->header_size));
	if (may_be_header(get32(p, 0)) && (pcap_tcp_is_pcap_header(p) ||
	    pcap_tcp_is_section_header(p)))
		return (PCAP_TCP_RESTART);
	sec = get32(p, d->swapped);
	fraction = get32(p + 4, d->swapped) / d->divide;
	caplen = get32(p + 8, d->swapped);
	len = get32(p + 12, d->swapped);
	/*
	 * They changed places at version 2.3, but some programs wrote that
	 * version and kept the old places.
	 */
	if (d->version_minor <= 3 && (d->version_minor < 3 || caplen > len)) {
		uint32_t first = caplen;

		caplen = len;
		len = first;
	}
	if (caplen > d->longest)
		return (pcap_tcp_malformed(d, "invalid packet capture length "
		    "%u, bigger than maximum of %u", caplen, d->longest));
	if (in->left - d->header_size < caplen)
		return (pcap_tcp_more(in, d->header_size + (size_t)caplen));

	r->h.ts.tv_sec = (time_t)sec;
	r->h.ts.tv_usec = (suseconds_t)((uint64_t)fraction * d->multiply);
	r->h.caplen = caplen;
	r->h.len = len;
	r->data = in->next + d->header_size;
	r->origin = d->origin;
	if (d->is_plain && !may_be_header(sec))
		d->period = sec >> 16;
	pcap_tcp_take(d, in, d->header_size + (size_t)caplen);
	return (PCAP_TCP_DONE);
}

static enum pcap_tcp_decoded
run(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *b)
{
	enum pcap_tcp_decoded decoded;

	for (;; b->next++) {
		decode_period(d, in, b);
		if (b->next == b->end)
			return (PCAP_TCP_DONE);
		decoded = decode_record(d, in, b->next);
		if (decoded != PCAP_TCP_DONE)
			return (decoded);
	}
}

enum pcap_tcp_decoded
pcap_tcp_pcap_start(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in)
{
	const u_char *p = in->next;
	uint32_t magic, linktype;
	int dlt, nano = d->shared->precision == PCAP_TSTAMP_PRECISION_NANO;

	if (in->left < FILE_HEADER_SIZE)
		return (pcap_tcp_more(in, FILE_HEADER_SIZE));
	d->swapped = !pcap_tcp_is_pcap_magic(get32(p, 0));
	magic = get32(p, d->swapped);
	d->version_major = get16(p + 4, d->swapped);
	d->version_minor = get16(p + 6, d->swapped);
	if (!pcap_tcp_is_pcap_header(p))
		return (pcap_tcp_malformed(d, "unsupported pcap version %u.%u",
		    d->version_major, d->version_minor));
	linktype = get32(p + 20, d->swapped);
	if (LT_RESERVED1(linktype) != 0)
		return (pcap_tcp_malformed(d,
		    "linktype reserved field not zero (0x%08x)",
		    LT_RESERVED1(linktype)));
	dlt = d->shared->linktypes->linktype_to_dlt(
	    (int)LT_LINKTYPE(linktype));
	if (pcap_tcp_accept_dlt(d, dlt) == PCAP_TCP_ERROR)
		return (PCAP_TCP_ERROR);
	pcap_tcp_set_dlt(d, dlt);
	d->origin.swapped = (uint16_t)d->swapped;
	d->longest = d->shared->linktypes->max_snaplen_for_dlt(dlt);
	d->linktype_ext = (int)LT_LINKTYPE_EXT(linktype);
	d->header_size = magic == MAGIC_KUZNETZOV ? KUZNETZOV_HEADER_SIZE :
	    RECORD_HEADER_SIZE;
	d->period = NO_PERIOD;
	d->divide = magic == MAGIC_NSEC && !nano ? 1000 : 1;
	d->multiply = magic != MAGIC_NSEC && nano ? 1000 : 1;
	d->is_plain = magic == (nano ? MAGIC_NSEC : MAGIC_USEC) &&
	    d->version_minor == PCAP_VERSION_MINOR && !d->swapped;
	d->snaplen = get32(p + 16, d->swapped);
	d->format = "pcap";
	d->run = run;
	pcap_tcp_take(d, in, FILE_HEADER_SIZE);
	return (PCAP_TCP_DONE);
}
