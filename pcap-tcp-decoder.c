/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.c - from the bytes of a stream to its records: what the
 * formats have in common, and pcap
 */

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "pcap-tcp-decoder-int.h"

#define MAGIC_USEC	0xa1b2c3d4U
#define MAGIC_NSEC	0xa1b23c4dU
#define MAGIC_KUZNETZOV	0xa1b2cd34U

#define FILE_HEADER_SIZE	24U
#define RECORD_HEADER_SIZE	16U
#define KUZNETZOV_HEADER_SIZE	24U	/* + index, protocol, packet type */

/* Before it was in <pcap/pcap.h>, in 1.10.5, libpcap took 26 bits of it. */
#ifndef LT_RESERVED1
#define LT_LINKTYPE(x)		((x) & 0x03FFFFFF)
#define LT_LINKTYPE_EXT(x)	((x) & 0xFC000000)
#define LT_RESERVED1(x)		0U
#endif

enum pcap_tcp_decoded
pcap_tcp_malformed(struct pcap_tcp_decoder *d, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(d->error, sizeof(d->error), fmt, ap);
	va_end(ap);
	n = strlen(d->error);
	snprintf(d->error + n, sizeof(d->error) - n, " (at byte %" PRIu64
	    " of the stream)", d->offset);
	return (PCAP_TCP_ERROR);
}

static const char *
dlt_name(const struct pcap_tcp_decoder *d, int dlt)
{
	const char *name = d->linktypes->name(dlt);

	return (name != NULL ? name : "unknown");
}

enum pcap_tcp_decoded
pcap_tcp_set_linktype(struct pcap_tcp_decoder *d, int linktype)
{
	int dlt = d->linktypes->linktype_to_dlt(linktype);

	if (d->dlt != -1 && d->dlt != dlt)
		return (pcap_tcp_malformed(d,
		    "the link type is %s, the device's is %s", dlt_name(d, dlt),
		    dlt_name(d, d->dlt)));
	d->dlt = dlt;
	d->max_caplen = d->linktypes->max_snaplen_for_dlt(dlt);
	d->started = 1;
	return (PCAP_TCP_SKIP);
}

uint32_t
pcap_tcp_adjust_snaplen(const struct pcap_tcp_decoder *d, uint32_t snaplen)
{
	return (snaplen == 0 || snaplen > INT_MAX ? d->max_caplen : snaplen);
}

static int
is_pcap_magic(uint32_t magic)
{
	return (magic == MAGIC_USEC || magic == MAGIC_NSEC ||
	    magic == MAGIC_KUZNETZOV);
}

/* The versions that sf-pcap.c reads; 543.0 is DG/UX tcpdump's. */
static int
is_known_version(uint16_t major, uint16_t minor)
{
	return ((major == PCAP_VERSION_MAJOR && minor <= PCAP_VERSION_MINOR) ||
	    (major == 543 && minor == 0));
}

/*
 * As a record, a header would have to be of the year 2055 or 2083 and of one
 * certain microsecond, so this takes no packet for one.
 */
int
pcap_tcp_is_pcap_header(const u_char *buf)
{
	int swapped = !is_pcap_magic(get32(buf, 0));

	return (is_pcap_magic(get32(buf, swapped)) &&
	    is_known_version(get16(buf + 4, swapped), get16(buf + 6, swapped)));
}

static enum pcap_tcp_decoded
too_long(struct pcap_tcp_decoder *d, uint32_t caplen)
{
	if (caplen > d->snaplen)
		return (pcap_tcp_malformed(d, "invalid packet capture length "
		    "%u, bigger than snaplen of %u", caplen, d->snaplen));
	return (pcap_tcp_malformed(d, "invalid packet capture length %u, "
	    "bigger than maximum of %u", caplen, d->max_caplen));
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

	default:
		return (0);
	}
}

/* The next records are for pcap_tcp_decode(), if they are like this one. */
static void
set_period(struct pcap_tcp_decoder *d, uint32_t sec)
{
	if (!d->swapped && d->scale == PCAP_TCP_SCALE_NONE &&
	    d->lengths == PCAP_TCP_CAPLEN_FIRST &&
	    d->header_size == RECORD_HEADER_SIZE && !may_be_header(sec))
		d->period = sec >> 16;
}

/*
 * The records that pcap_tcp_decode() leaves to this: the first one of each
 * period, and all of a stream that is in the other byte order, or the like.
 */
static enum pcap_tcp_decoded
decode_record(struct pcap_tcp_decoder *d, u_char *buf, size_t len,
    struct pcap_tcp_record *r)
{
	uint32_t sec, fraction, caplen, wirelen;

	if (len < d->header_size)
		return (pcap_tcp_more(r, d->header_size));
	sec = get32(buf, 0);
	if (may_be_header(sec)) {
		if (pcap_tcp_is_pcap_header(buf))
			return (pcap_tcp_decode_pcap_header(d, buf, len, r));
		if (pcap_tcp_is_section_header(buf))
			return (pcap_tcp_decode_section(d, buf, len, r));
	}
	fraction = get32(buf + 4, 0);
	caplen = get32(buf + 8, 0);
	wirelen = get32(buf + 12, 0);
	if (d->swapped) {
		sec = swap32(sec);
		fraction = swap32(fraction);
		caplen = swap32(caplen);
		wirelen = swap32(wirelen);
	}
	if (d->lengths != PCAP_TCP_CAPLEN_FIRST &&
	    (d->lengths == PCAP_TCP_LEN_FIRST || caplen > wirelen)) {
		uint32_t first = caplen;

		caplen = wirelen;
		wirelen = first;
	}
	if (caplen > d->max_caplen)
		return (too_long(d, caplen));
	if (len - d->header_size < caplen)
		return (pcap_tcp_more(r, d->header_size + (size_t)caplen));

	r->h.ts.tv_sec = (time_t)sec;
	if (d->scale == PCAP_TCP_SCALE_NONE)
		r->h.ts.tv_usec = (suseconds_t)fraction;
	else if (d->scale == PCAP_TCP_SCALE_UP)
		r->h.ts.tv_usec = (suseconds_t)(fraction * (uint64_t)1000);
	else
		r->h.ts.tv_usec = (suseconds_t)(fraction / 1000);
	r->h.caplen = caplen < d->snaplen ? caplen : d->snaplen;
	r->h.len = wirelen;
	r->data = buf + d->header_size;
	set_period(d, sec);
	return (pcap_tcp_take(d, r, d->header_size + (size_t)caplen,
	    PCAP_TCP_RECORD));
}

static void
set_lengths(struct pcap_tcp_decoder *d)
{
	/*
	 * caplen and len changed places at version 2.3, but some programs
	 * wrote that version and kept the old places.
	 */
	if (d->version_major != PCAP_VERSION_MAJOR || d->version_minor < 3)
		d->lengths = PCAP_TCP_LEN_FIRST;
	else if (d->version_minor == 3)
		d->lengths = PCAP_TCP_SMALLER_FIRST;
	else
		d->lengths = PCAP_TCP_CAPLEN_FIRST;
}

static void
set_scale(struct pcap_tcp_decoder *d, int nsec)
{
	if (nsec == (d->precision == PCAP_TSTAMP_PRECISION_NANO))
		d->scale = PCAP_TCP_SCALE_NONE;
	else
		d->scale = nsec ? PCAP_TCP_SCALE_DOWN : PCAP_TCP_SCALE_UP;
}

enum pcap_tcp_decoded
pcap_tcp_decode_pcap_header(struct pcap_tcp_decoder *d, u_char *buf,
    size_t len, struct pcap_tcp_record *r)
{
	uint32_t magic, linktype;

	if (len < FILE_HEADER_SIZE)
		return (pcap_tcp_more(r, FILE_HEADER_SIZE));
	d->swapped = !is_pcap_magic(get32(buf, 0));
	magic = get32(buf, d->swapped);
	d->version_major = get16(buf + 4, d->swapped);
	d->version_minor = get16(buf + 6, d->swapped);
	if (!is_known_version(d->version_major, d->version_minor))
		return (pcap_tcp_malformed(d, "unsupported pcap version %u.%u",
		    d->version_major, d->version_minor));
	linktype = get32(buf + 20, d->swapped);
	if (LT_RESERVED1(linktype) != 0)
		return (pcap_tcp_malformed(d,
		    "linktype reserved field not zero (0x%08x)",
		    LT_RESERVED1(linktype)));
	if (pcap_tcp_set_linktype(d, (int)LT_LINKTYPE(linktype)) ==
	    PCAP_TCP_ERROR)
		return (PCAP_TCP_ERROR);
	d->linktype_ext = (int)LT_LINKTYPE_EXT(linktype);
	d->snaplen = pcap_tcp_adjust_snaplen(d, get32(buf + 16, d->swapped));

	d->header_size = RECORD_HEADER_SIZE;
	if (magic == MAGIC_KUZNETZOV) {
		d->header_size = KUZNETZOV_HEADER_SIZE;
		/* A cooked capture has a faked Ethernet header on top. */
		if (d->dlt == DLT_EN10MB)
			d->snaplen = d->snaplen > INT_MAX - 14 ? INT_MAX :
			    d->snaplen + 14;
	}
	d->fits = d->snaplen < d->max_caplen ? d->snaplen : d->max_caplen;
	d->period = PCAP_TCP_NO_PERIOD;
	set_lengths(d);
	set_scale(d, magic == MAGIC_NSEC);
	d->decode = decode_record;
	return (pcap_tcp_take(d, r, FILE_HEADER_SIZE, PCAP_TCP_SKIP));
}

/* The first bytes of a stream tell what it is. */
static enum pcap_tcp_decoded
decode_start(struct pcap_tcp_decoder *d, u_char *buf, size_t len,
    struct pcap_tcp_record *r)
{
	uint32_t magic;

	if (len < sizeof(magic))
		return (pcap_tcp_more(r, sizeof(magic)));
	magic = get32(buf, 0);
	if (is_pcap_magic(magic) || is_pcap_magic(swap32(magic)))
		return (pcap_tcp_decode_pcap_header(d, buf, len, r));
	if (magic == BT_SHB) {
		if (len < 12)
			return (pcap_tcp_more(r, 12));
		if (pcap_tcp_is_section_header(buf))
			return (pcap_tcp_decode_section(d, buf, len, r));
	}
	return (pcap_tcp_refuse(d, buf, len));
}

void
pcap_tcp_decoder_restart(struct pcap_tcp_decoder *d)
{
	d->decode = decode_start;
	d->period = PCAP_TCP_NO_PERIOD;
	d->started = 0;
	d->ninterfaces = 0;
	d->offset = 0;
}

void
pcap_tcp_decoder_init(struct pcap_tcp_decoder *d, int precision,
    const struct pcap_tcp_linktypes *linktypes)
{
	memset(d, 0, sizeof(*d));
	d->precision = precision;
	d->linktypes = linktypes;
	d->dlt = -1;
	pcap_tcp_decoder_restart(d);
}

void
pcap_tcp_decoder_free(struct pcap_tcp_decoder *d)
{
	free(d->interfaces);
	d->interfaces = NULL;
}
