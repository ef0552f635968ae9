/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-pcapng.c - the blocks of a pcapng stream
 */

#include <limits.h>

#include "pcap-tcp-format.h"

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

#define BAD_TRAILER	"block total length in header and trailer don't match"

/* What is left of a block's body, and the option that was taken last. */
struct body {
	uint32_t type;
	u_char *data;
	uint32_t left;
	uint16_t code, length;
	const u_char *value;
};

static uint64_t
get64(const u_char *p, int swapped)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (swapped ? bswap_64(v) : v);
}

static enum pcap_tcp_decoded
too_short(struct pcap_tcp_decoder *d, const struct body *b)
{
	return (pcap_tcp_malformed(d,
	    "block of type %u in the pcapng stream is too short", b->type));
}

/* Takes n bytes from the body; NULL if it is shorter. */
static u_char *
take(struct body *b, uint32_t n)
{
	u_char *p = b->data;

	if (b->left < n)
		return (NULL);
	b->data += n;
	b->left -= n;
	return (p);
}

/* Takes the next option.  Returns 0 at their end, or if it is cut short. */
static int
next_option(const struct pcap_tcp_decoder *d, struct body *b)
{
	if (b->left < 4)
		return (0);
	b->code = get16(b->data, d->swapped);
	b->length = get16(b->data + 2, d->swapped);
	b->value = b->data + 4;
	if (b->code == OPT_ENDOFOPT)
		b->left = 0;
	return (take(b, 4 + (b->length + 3U) / 4 * 4) != NULL);
}

static enum pcap_tcp_decoded
set_resolution(struct pcap_tcp_decoder *d, struct pcap_tcp_interface *i,
    u_char resolution)
{
	int base = resolution & 0x80 ? 2 : 10, exponent = resolution & 0x7f;

	if (exponent > (base == 2 ? 63 : 19))
		return (pcap_tcp_malformed(d, "Interface Description Block "
		    "if_tsresol option resolution %d^-%d is too high", base,
		    exponent));
	i->shift = (uint16_t)(base == 2 ? exponent : 0);
	for (i->units = 1; exponent > 0; exponent--)
		i->units *= (uint64_t)base;
	return (PCAP_TCP_DONE);
}

/* As tshark does: of each, the first that has the right length. */
static enum pcap_tcp_decoded
decode_interface_options(struct pcap_tcp_decoder *d, struct body *b,
    struct pcap_tcp_interface *i, u_char *fcslen)
{
	int resolutions = 0, offsets = 0;

	while (next_option(d, b)) {
		switch (b->code) {

		case IF_TSRESOL:
			if (b->length == 1 && resolutions++ == 0 &&
			    set_resolution(d, i, *b->value) == PCAP_TCP_ERROR)
				return (PCAP_TCP_ERROR);
			break;

		case IF_TSOFFSET:
			if (b->length == 8 && offsets++ == 0)
				i->offset = get64(b->value, d->swapped);
			break;

		case IF_FCSLEN:
			/* libpcap ignores it, so it is never an error. */
			if (b->length == 1)
				*fcslen = *b->value;
			break;
		}
	}
	return (b->left == 0 ? PCAP_TCP_DONE : too_short(d, b));
}

/*
 * Some senders describe an interface before each of their packets, for ever:
 * those that are like the one before take no entry.  When all the entries are
 * taken, the first half of them stays, and of the others, the last ones.
 */
static void
add_interface(struct pcap_tcp_decoder *d, const struct pcap_tcp_interface *new)
{
	const uint32_t quarter = PCAP_TCP_MAX_INTERFACES / 4;
	struct pcap_tcp_interface *half = &d->interface[2 * quarter];
	const struct pcap_tcp_interface *last;

	/* Their numbers may wrap, too. */
	if (d->ninterfaces++ == 0)
		d->nentries = 0;
	last = &d->interface[d->nentries];
	if (d->nentries > 0 && last[-1].dlt == new->dlt &&
	    last[-1].units == new->units && last[-1].shift == new->shift &&
	    last[-1].offset == new->offset)
		return;
	if (d->nentries == PCAP_TCP_MAX_INTERFACES) {
		half->units = 0;
		memmove(half + 1, half + quarter, quarter * sizeof(*half));
		d->nentries -= quarter - 1;
	}
	d->interface[d->nentries++] = *new;
}

/* The entry of a packet's interface; NULL with the error if there is none. */
static inline const struct pcap_tcp_interface *
find_interface(struct pcap_tcp_decoder *d, uint32_t id)
{
	uint32_t low = 0, high = d->nentries, middle;

	if (id >= d->ninterfaces) {
		pcap_tcp_malformed(d, "a packet arrived on interface %u, but "
		    "there's no Interface Description Block for that "
		    "interface", id);
		return (NULL);
	}
	while (high - low > 1) {
		middle = (low + high) / 2;
		if (d->interface[middle].first <= id)
			low = middle;
		else
			high = middle;
	}
	if (d->interface[low].units != 0)
		return (&d->interface[low]);
	pcap_tcp_malformed(d, "a packet arrived on interface %u, whose "
	    "description had to make room for later ones", id);
	return (NULL);
}

static enum pcap_tcp_decoded
decode_interface(struct pcap_tcp_decoder *d, struct body *b)
{
	const u_char *p = take(b, IDB_FIXED);
	struct pcap_tcp_interface i = {
		.first = d->ninterfaces, .units = 1000000
	};
	const struct pcap_tcp_linktypes *linktypes = d->shared->linktypes;
	int first = !d->started;
	uint32_t max_block;
	u_char fcslen = 0;

	if (p == NULL)
		return (too_short(d, b));
	if (decode_interface_options(d, b, &i, &fcslen) == PCAP_TCP_ERROR)
		return (PCAP_TCP_ERROR);
	i.dlt = (uint16_t)linktypes->linktype_to_dlt(get16(p, d->swapped));
	if (first)
		pcap_tcp_set_dlt(d, i.dlt);
	/* A packet of the largest size and 128 KiB of options fit. */
	max_block = linktypes->max_snaplen_for_dlt(d->dlt) + BLOCK_OVERHEAD +
	    EPB_FIXED + 131072;
	if (max_block > d->max_block)
		d->max_block = max_block;
	if (d->ninterfaces == 0)
		d->snaplen = get32(p + 4, d->swapped);
	/* Bits there, 16-bit words here. */
	if (first)
		d->linktype_ext = fcslen == 0 ? 0 :
		    (int)LT_FCS_DATALINK_EXT(fcslen / 16U);
	add_interface(d, &i);
	return (PCAP_TCP_DONE);
}

/* The fraction of a second in t, in units of 1/user, which is below 2^30. */
static uint64_t
scale_fraction(const struct pcap_tcp_interface *i, uint64_t t, uint64_t user)
{
	uint64_t fraction = t % i->units, high, low;

	if (i->shift == 0)
		return (i->units > user ? fraction / (i->units / user) :
		    fraction * (user / i->units));
	/* fraction * user / 2^shift; the product has up to 93 bits. */
	if (i->shift <= 32)
		return (fraction * user >> i->shift);
	high = (fraction >> 32) * user;
	low = (fraction & 0xffffffff) * user;
	return ((high + (low >> 32)) >> (i->shift - 32));
}

/*
 * EPB, PB and SPB: who, when, how much of how much, and then the data.  An
 * SPB has neither an interface nor a time, nor the captured length.
 */
static enum pcap_tcp_decoded
decode_packet(struct pcap_tcp_decoder *d, struct body *b,
    struct pcap_tcp_batch *batch)
{
	const u_char *p = take(b, b->type == BT_SPB ? SPB_FIXED : EPB_FIXED);
	struct pcap_tcp_record *r = batch->next;
	const struct pcap_tcp_interface *i;
	uint32_t id = 0;
	uint64_t t = 0;

	if (p == NULL)
		return (too_short(d, b));
	if (!d->started)
		return (pcap_tcp_malformed(d, "a packet block before any "
		    "Interface Description Blocks"));
	if (b->type == BT_EPB)
		id = get32(p, d->swapped);
	else if (b->type == BT_PB)
		id = get16(p, d->swapped);
	i = find_interface(d, id);
	if (i == NULL || (i->dlt != d->dlt &&
	    pcap_tcp_accept_dlt(d, i->dlt) == PCAP_TCP_ERROR))
		return (PCAP_TCP_ERROR);
	if (b->type == BT_SPB) {
		r->h.len = r->h.caplen = get32(p, d->swapped);
		/* Was it cut?  Then the block has no more than that. */
		if (d->snaplen != 0 && r->h.len > d->snaplen &&
		    (b->left < r->h.len || b->left - 3 <= d->snaplen))
			r->h.caplen = d->snaplen;
	} else {
		t = (uint64_t)get32(p + 4, d->swapped) << 32 |
		    get32(p + 8, d->swapped);
		r->h.caplen = get32(p + 12, d->swapped);
		r->h.len = get32(p + 16, d->swapped);
	}
	r->data = take(b, r->h.caplen);
	if (r->data == NULL)
		return (too_short(d, b));
	r->h.ts.tv_sec = (time_t)(t / i->units + i->offset);
	r->h.ts.tv_usec = (suseconds_t)scale_fraction(i, t,
	    d->shared->precision == PCAP_TSTAMP_PRECISION_NANO ? 1000000000 :
	    1000000);
	r->origin.dlt = i->dlt;
	r->origin.swapped = (uint16_t)d->swapped;
	batch->next++;
	return (PCAP_TCP_DONE);
}

/* Counts since the capture began: what they grew by is news. */
static void
add_growth(uint64_t *total, uint64_t *last, uint64_t now)
{
	if (now > *last)
		*total += now - *last;
	*last = now;
}

/*
 * libpcap ignores these blocks, so nothing in them is an error.  Of interfaces
 * that share a place, the last one has it.
 */
static void
decode_statistics(struct pcap_tcp_decoder *d, struct body *b)
{
	const u_char *p = take(b, ISB_FIXED);
	struct pcap_tcp_reported *i;
	uint32_t id = p == NULL ? UINT32_MAX : get32(p, d->swapped);

	if (id >= d->ninterfaces)
		return;
	i = &d->reported[id % PCAP_TCP_MAX_REPORTED];
	if (i->section != d->section || i->interface != id)
		*i = (struct pcap_tcp_reported){ d->section, id, 0, 0 };
	while (next_option(d, b)) {
		if (b->length == 8 && b->code == ISB_IFDROP)
			add_growth(&d->shared->if_dropped,
			    &i->if_dropped, get64(b->value, d->swapped));
		else if (b->length == 8 && b->code == ISB_OSDROP)
			add_growth(&d->shared->dropped,
			    &i->dropped, get64(b->value, d->swapped));
	}
}

/* Some senders pad a block and leave the padding out of its length. */
static uint32_t
round_length(const u_char *p, int swapped)
{
	uint32_t length = get32(p, swapped);

	return (length > INT_MAX ? length : (length + 3) & ~3U);
}

/* Goes on skipping a block, as it arrives. */
static enum pcap_tcp_decoded
skip(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in)
{
	size_t body = d->skip - 4 < in->left ? d->skip - 4 : in->left;

	pcap_tcp_take(d, in, body);
	d->skip -= (uint32_t)body;
	if (in->left < 4)
		return (pcap_tcp_more(in, d->skip > 4 ? 1 : 4));
	if (d->skipped - get32(in->next, d->swapped) > 3)
		return (pcap_tcp_malformed(d, BAD_TRAILER));
	pcap_tcp_take(d, in, 4);
	d->skip = 0;
	return (PCAP_TCP_DONE);
}

/* PCAP_TCP_DONE if the block has a sane length and all of it is here. */
static enum pcap_tcp_decoded
check_length(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    int swapped, uint32_t length)
{
	if (length < BLOCK_OVERHEAD)
		return (pcap_tcp_malformed(d, "block in the pcapng stream has "
		    "a length of %u < %u", length, BLOCK_OVERHEAD));
	if (length > d->max_block)
		return (pcap_tcp_malformed(d, "pcapng block size %u > maximum "
		    "%u", length, d->max_block));
	if (in->left < length)
		return (pcap_tcp_more(in, length));
	if (length - get32(in->next + length - 4, swapped) > 3)
		return (pcap_tcp_malformed(d, BAD_TRAILER));
	return (PCAP_TCP_DONE);
}

static enum pcap_tcp_decoded
decode_block(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *batch)
{
	enum pcap_tcp_decoded decoded;
	struct body b;
	uint32_t length;

	if (d->skip > 0)
		return (skip(d, in));
	if (in->left < BLOCK_OVERHEAD)
		return (pcap_tcp_more(in, BLOCK_OVERHEAD));
	b.type = get32(in->next, d->swapped);
	if (b.type == BT_SHB)
		return (pcap_tcp_pcapng_start(d, in));
	if (b.type != BT_EPB && pcap_tcp_is_pcap_header(in->next))
		return (PCAP_TCP_RESTART);
	length = round_length(in->next + 4, d->swapped);
	/* No interface and no packet. */
	if (length > d->max_block && length <= INT_MAX && b.type > BT_SPB &&
	    b.type != BT_EPB) {
		d->skip = d->skipped = length;
		return (skip(d, in));
	}
	decoded = check_length(d, in, d->swapped, length);
	if (decoded != PCAP_TCP_DONE)
		return (decoded);
	b.data = in->next + BLOCK_HEADER;
	b.left = length - BLOCK_OVERHEAD;

	if (b.type == BT_EPB || b.type == BT_PB || b.type == BT_SPB)
		decoded = decode_packet(d, &b, batch);
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
	enum pcap_tcp_decoded decoded = PCAP_TCP_DONE;

	/* No block before the first interface gives a record. */
	while (decoded == PCAP_TCP_DONE && (!d->started || b->next != b->end))
		decoded = decode_block(d, in, b);
	return (decoded);
}

/*
 * Checks a section's header as sf-pcapng.c does, which is stricter with that
 * of a later section, and begins the section.
 */
enum pcap_tcp_decoded
pcap_tcp_pcapng_start(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in)
{
	const u_char *p = in->next;
	int first = d->run != run;
	int swapped = get32(p + 8, 0) != BYTE_ORDER_MAGIC;
	uint32_t length = round_length(p + 4, swapped);
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
	decoded = !first ? check_length(d, in, swapped, length) :
	    in->left < length ? pcap_tcp_more(in, length) : PCAP_TCP_DONE;
	if (decoded != PCAP_TCP_DONE)
		return (decoded);
	d->swapped = swapped;
	d->version_major = major;
	d->version_minor = minor;
	d->format = "pcapng";
	d->max_block = BLOCK_MAX;
	d->ninterfaces = 0;
	d->section++;
	d->run = run;
	pcap_tcp_take(d, in, length);
	return (PCAP_TCP_DONE);
}
