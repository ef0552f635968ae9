/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-pcapng.c - the blocks of a pcapng stream
 */

#include <stdlib.h>

#include "pcap-tcp-pcapng.h"

#define BT_IDB		1U
#define BT_PB		2U
#define BT_SPB		3U
#define BT_ISB		5U
#define BT_EPB		6U

#define OPT_ENDOFOPT	0
#define IF_TSRESOL	9
#define IF_FCSLEN	13
#define IF_TSOFFSET	14
#define ISB_IFDROP	5
#define ISB_OSDROP	7

/* Bytes: the type and length in front, all with the length behind. */
#define BLOCK_HEADER	8U
#define BLOCK_OVERHEAD	12U
#define SHB_MIN		28U
#define SHB_MAX		(1024U * 1024U)	/* of a stream's first one */
#define BLOCK_MAX	(16U * 1024U * 1024U)
#define EPB_FIXED	20U	/* and PB */
#define SPB_FIXED	4U
#define IDB_FIXED	8U
#define ISB_FIXED	12U

/* libpcap takes as many as memory does; nobody has that many. */
#define MAX_INTERFACES	65536U

struct pcap_tcp_interface {
	uint32_t snaplen;
	/* Units of a time stamp in a second: 2^shift if binary. */
	uint64_t units;
	int binary, shift;
	uint64_t offset;	/* seconds, modulo 2^64 */
	uint64_t dropped, if_dropped;	/* the last the section said */
};

/* What is left of a block's body. */
struct body {
	uint32_t type;
	u_char *data;
	uint32_t left;
};

static uint64_t
get64(const u_char *p, int swapped)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (swapped ? (uint64_t)swap32((uint32_t)v) << 32 |
	    swap32((uint32_t)(v >> 32)) : v);
}

static enum pcap_tcp_decoded
too_short(struct pcap_tcp_decoder *d, const struct body *b)
{
	return (pcap_tcp_malformed(d,
	    "block of type %u in the pcapng stream is too short", b->type));
}

/*
 * Takes the next option from the body.  Returns 1, 0 at the end, or -1 if it
 * is cut short.
 */
static int
next_option(const struct pcap_tcp_decoder *d, struct body *b, uint16_t *code,
    uint16_t *length, const u_char **value)
{
	uint32_t padded;

	if (b->left == 0)
		return (0);
	if (b->left < 4)
		return (-1);
	*code = get16(b->data, d->swapped);
	*length = get16(b->data + 2, d->swapped);
	padded = ((uint32_t)*length + 3) / 4 * 4;
	if (b->left - 4 < padded)
		return (-1);
	*value = b->data + 4;
	b->data += 4 + padded;
	b->left -= 4 + padded;
	return (1);
}

static enum pcap_tcp_decoded
bad_option(struct pcap_tcp_decoder *d, const char *option, uint16_t length,
    const char *expected)
{
	return (pcap_tcp_malformed(d, "Interface Description Block has %s "
	    "option with length %u%s", option, length, expected));
}

static enum pcap_tcp_decoded
set_resolution(struct pcap_tcp_decoder *d, struct pcap_tcp_interface *i,
    u_char resolution)
{
	int exponent = resolution & 0x7f;

	i->binary = resolution >> 7;
	i->shift = exponent;
	if (exponent > (i->binary ? 63 : 19))
		return (pcap_tcp_malformed(d, "Interface Description Block "
		    "if_tsresol option resolution %d^-%d is too high",
		    i->binary ? 2 : 10, exponent));
	i->units = 1;
	while (exponent-- > 0)
		i->units *= i->binary ? 2 : 10;
	return (PCAP_TCP_SKIP);
}

static enum pcap_tcp_decoded
decode_interface_options(struct pcap_tcp_decoder *d, struct body *b,
    struct pcap_tcp_interface *i, u_char *fcslen)
{
	int resolutions = 0, offsets = 0, status;
	uint16_t code, length;
	const u_char *value;

	while ((status = next_option(d, b, &code, &length, &value)) == 1) {
		switch (code) {

		case OPT_ENDOFOPT:
			if (length != 0)
				return (bad_option(d, "opt_endofopt", length,
				    " != 0"));
			return (PCAP_TCP_SKIP);

		case IF_TSRESOL:
			if (length != 1 || resolutions++ != 0)
				return (bad_option(d, "if_tsresol", length,
				    " != 1, or more than one"));
			if (set_resolution(d, i, *value) == PCAP_TCP_ERROR)
				return (PCAP_TCP_ERROR);
			break;

		case IF_TSOFFSET:
			if (length != 8 || offsets++ != 0)
				return (bad_option(d, "if_tsoffset", length,
				    " != 8, or more than one"));
			i->offset = get64(value, d->swapped);
			break;

		case IF_FCSLEN:
			/* libpcap ignores it, so it is never an error. */
			if (length == 1)
				*fcslen = *value;
			break;
		}
	}
	return (status == 0 ? PCAP_TCP_SKIP : too_short(d, b));
}

static struct pcap_tcp_interface *
new_interface(struct pcap_tcp_decoder *d)
{
	struct pcap_tcp_interface *i;
	uint32_t size;

	if (d->ninterfaces == d->interfaces_size) {
		if (d->interfaces_size == MAX_INTERFACES)
			return (NULL);
		size = d->interfaces_size == 0 ? 4 : 2 * d->interfaces_size;
		i = realloc(d->interfaces, size * sizeof(*i));
		if (i == NULL)
			return (NULL);
		d->interfaces = i;
		d->interfaces_size = size;
	}
	i = &d->interfaces[d->ninterfaces];
	memset(i, 0, sizeof(*i));
	i->units = 1000000;
	return (i);
}

/* A block may have a packet of the largest size and 128 KiB of options. */
static void
raise_max_block(struct pcap_tcp_decoder *d)
{
	uint64_t max_block = (uint64_t)d->max_caplen + BLOCK_OVERHEAD +
	    EPB_FIXED + 131072;

	if (max_block > d->max_block)
		d->max_block = (uint32_t)max_block;
}

static enum pcap_tcp_decoded
decode_interface(struct pcap_tcp_decoder *d, struct body *b)
{
	struct pcap_tcp_interface *i;
	int linktype, first = !d->started;
	uint32_t snaplen;
	u_char fcslen = 0;

	if (b->left < IDB_FIXED)
		return (too_short(d, b));
	linktype = get16(b->data, d->swapped);
	snaplen = get32(b->data + 4, d->swapped);
	b->data += IDB_FIXED;
	b->left -= IDB_FIXED;
	if (!first &&
	    d->shared->linktypes->linktype_to_dlt(linktype) != d->dlt)
		return (pcap_tcp_malformed(d, "an interface has a type %d "
		    "different from the type of the first interface",
		    linktype));
	i = new_interface(d);
	if (i == NULL)
		return (pcap_tcp_malformed(d,
		    "out of memory for interface %u", d->ninterfaces));
	if (decode_interface_options(d, b, i, &fcslen) == PCAP_TCP_ERROR ||
	    pcap_tcp_set_linktype(d, linktype) == PCAP_TCP_ERROR)
		return (PCAP_TCP_ERROR);
	i->snaplen = pcap_tcp_adjust_snaplen(d, snaplen);
	raise_max_block(d);
	/* Bits there, 16-bit words here. */
	if (first)
		d->linktype_ext = fcslen == 0 ? 0 :
		    (int)LT_FCS_DATALINK_EXT(fcslen / 16U);
	d->ninterfaces++;
	return (PCAP_TCP_SKIP);
}

/* The fraction of a second in units of 1/user, which is below 2^30. */
static uint64_t
scale_fraction(const struct pcap_tcp_interface *i, uint64_t fraction,
    uint64_t user)
{
	uint64_t high, low;

	if (!i->binary)
		return (i->units > user ? fraction / (i->units / user) :
		    fraction * (user / i->units));
	/* fraction * user / 2^shift; the product has up to 93 bits. */
	if (i->shift <= 32)
		return (fraction * user >> i->shift);
	high = (fraction >> 32) * user;
	low = (fraction & 0xffffffff) * user;
	return ((high + (low >> 32)) >> (i->shift - 32));
}

static void
set_time(const struct pcap_tcp_decoder *d, const struct pcap_tcp_interface *i,
    uint64_t t, struct timeval *ts)
{
	uint64_t user = d->shared->precision ==
	    PCAP_TSTAMP_PRECISION_NANO ? 1000000000 : 1000000;

	ts->tv_sec = (time_t)(t / i->units + i->offset);
	ts->tv_usec = (suseconds_t)scale_fraction(i, t % i->units, user);
}

/*
 * EPB, PB and SPB: who, when, how much of how much, and then the data.  An
 * SPB has neither an interface nor a time, nor the captured length.
 */
static enum pcap_tcp_decoded
decode_packet(struct pcap_tcp_decoder *d, struct body *b,
    struct pcap_tcp_record *r)
{
	uint32_t fixed = b->type == BT_SPB ? SPB_FIXED : EPB_FIXED, id = 0;
	const struct pcap_tcp_interface *i;
	const u_char *p = b->data;
	uint64_t t = 0;

	if (b->left < fixed)
		return (too_short(d, b));
	if (!d->started)
		return (pcap_tcp_malformed(d, "a packet block before any "
		    "Interface Description Blocks"));
	if (b->type == BT_EPB)
		id = get32(p, d->swapped);
	else if (b->type == BT_PB)
		id = get16(p, d->swapped);
	if (id >= d->ninterfaces)
		return (pcap_tcp_malformed(d, "a packet arrived on interface "
		    "%u, but there's no Interface Description Block for that "
		    "interface", id));
	i = &d->interfaces[id];
	if (b->type == BT_SPB) {
		r->h.len = get32(p, d->swapped);
		r->h.caplen = r->h.len < i->snaplen ? r->h.len : i->snaplen;
	} else {
		t = (uint64_t)get32(p + 4, d->swapped) << 32 |
		    get32(p + 8, d->swapped);
		r->h.caplen = get32(p + 12, d->swapped);
		r->h.len = get32(p + 16, d->swapped);
	}
	if (r->h.caplen > i->snaplen)
		return (pcap_tcp_malformed(d, "invalid packet capture length "
		    "%u, bigger than snaplen of %u", r->h.caplen, i->snaplen));
	if (b->left - fixed < r->h.caplen)
		return (too_short(d, b));
	set_time(d, i, t, &r->h.ts);
	r->data = b->data + fixed;
	r->swapped = d->swapped;
	return (PCAP_TCP_RECORD);
}

/* Counts since the capture began: what they grew by is news. */
static void
add_growth(uint64_t *total, uint64_t *last, uint64_t now)
{
	if (now > *last)
		*total += now - *last;
	*last = now;
}

/* libpcap ignores these blocks, so nothing in them is an error. */
static void
decode_statistics(struct pcap_tcp_decoder *d, struct body *b)
{
	struct pcap_tcp_interface *i;
	uint16_t code, length;
	const u_char *value;
	uint32_t id;

	if (b->left < ISB_FIXED)
		return;
	id = get32(b->data, d->swapped);
	if (id >= d->ninterfaces)
		return;
	i = &d->interfaces[id];
	b->data += ISB_FIXED;
	b->left -= ISB_FIXED;
	while (next_option(d, b, &code, &length, &value) == 1 &&
	    code != OPT_ENDOFOPT) {
		if (length != 8)
			continue;
		if (code == ISB_IFDROP)
			add_growth(&d->shared->if_dropped,
			    &i->if_dropped, get64(value, d->swapped));
		else if (code == ISB_OSDROP)
			add_growth(&d->shared->dropped,
			    &i->dropped, get64(value, d->swapped));
	}
}

/* PCAP_TCP_SKIP if the block has a sane length and all of it is here. */
static enum pcap_tcp_decoded
check_length(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    int swapped)
{
	uint32_t length = get32(in->next + 4, swapped);

	if (length < BLOCK_OVERHEAD)
		return (pcap_tcp_malformed(d, "block in the pcapng stream has "
		    "a length of %u < %u", length, BLOCK_OVERHEAD));
	if (length % 4 != 0)
		return (pcap_tcp_malformed(d, "block in the pcapng stream has "
		    "a length of %u that is not a multiple of 4", length));
	if (length > d->max_block)
		return (pcap_tcp_malformed(d, "pcapng block size %u > maximum "
		    "%u", length, d->max_block));
	if (in->left < length)
		return (pcap_tcp_more(in, length));
	if (get32(in->next + length - 4, swapped) != length)
		return (pcap_tcp_malformed(d, "block total length in header "
		    "and trailer don't match"));
	return (PCAP_TCP_SKIP);
}

/*
 * Checks a section's header as sf-pcapng.c does, which is stricter with that
 * of a later section, and begins the section.
 */
static enum pcap_tcp_decoded
begin_section(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    int first)
{
	const u_char *p = in->next;
	int swapped = get32(p + 8, 0) != BYTE_ORDER_MAGIC;
	uint32_t length = get32(p + 4, swapped);
	enum pcap_tcp_decoded decoded;
	uint16_t major, minor;

	if (!pcap_tcp_is_section_header(p))
		return (pcap_tcp_malformed(d, "a section with a bad byte "
		    "order magic field"));
	if (length < SHB_MIN || (first && length > SHB_MAX))
		return (pcap_tcp_malformed(d, "Section Header Block has "
		    "invalid length %u", length));
	if (in->left < SHB_MIN)
		return (pcap_tcp_more(in, SHB_MIN));
	major = get16(p + 12, swapped);
	minor = get16(p + 14, swapped);
	if (major != 1 || (first && minor != 0 && minor != 2))
		return (pcap_tcp_malformed(d, "unsupported pcapng version "
		    "%u.%u", major, minor));
	decoded = !first ? check_length(d, in, swapped) :
	    in->left < length ? pcap_tcp_more(in, length) : PCAP_TCP_SKIP;
	if (decoded != PCAP_TCP_SKIP)
		return (decoded);
	d->swapped = swapped;
	d->version_major = major;
	d->version_minor = minor;
	d->max_block = BLOCK_MAX;
	d->ninterfaces = 0;
	pcap_tcp_take(d, in, length);
	return (PCAP_TCP_SKIP);
}

static enum pcap_tcp_decoded
decode_block(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_record *r)
{
	enum pcap_tcp_decoded decoded;
	struct body b;
	uint32_t length;

	if (in->left < BLOCK_OVERHEAD)
		return (pcap_tcp_more(in, BLOCK_OVERHEAD));
	b.type = get32(in->next, d->swapped);
	if (b.type == BT_SHB)
		return (begin_section(d, in, 0));
	if (b.type != BT_EPB && pcap_tcp_is_pcap_header(in->next))
		return (PCAP_TCP_RESTART);
	decoded = check_length(d, in, d->swapped);
	if (decoded != PCAP_TCP_SKIP)
		return (decoded);
	length = get32(in->next + 4, d->swapped);
	b.data = in->next + BLOCK_HEADER;
	b.left = length - BLOCK_OVERHEAD;

	if (b.type == BT_EPB || b.type == BT_PB || b.type == BT_SPB)
		decoded = decode_packet(d, &b, r);
	else if (b.type == BT_IDB)
		decoded = decode_interface(d, &b);
	else if (b.type == BT_ISB)
		decode_statistics(d, &b);
	if (decoded != PCAP_TCP_ERROR)
		pcap_tcp_take(d, in, length);
	return (decoded);
}

static enum pcap_tcp_decoded
run(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *b)
{
	enum pcap_tcp_decoded decoded = PCAP_TCP_RECORD;

	/* No block before the first interface gives a record. */
	while (!d->started || b->next != b->end) {
		decoded = decode_block(d, in, b->next);
		if (decoded == PCAP_TCP_RECORD)
			b->next++;
		else if (decoded != PCAP_TCP_SKIP)
			break;
	}
	return (decoded);
}

enum pcap_tcp_decoded
pcap_tcp_pcapng_start(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in)
{
	enum pcap_tcp_decoded decoded = begin_section(d, in, 1);

	if (decoded == PCAP_TCP_SKIP)
		d->run = run;
	return (decoded);
}
