/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.c - from the bytes of a pcap stream to its records
 */

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pcap-tcp-decoder.h"

#define MAGIC_USEC	0xa1b2c3d4U
#define MAGIC_NSEC	0xa1b23c4dU
#define MAGIC_KUZNETZOV	0xa1b2cd34U
#define MAGIC_PCAPNG	0x0a0d0d0aU

#define FILE_HEADER_SIZE	24U
#define RECORD_HEADER_SIZE	16U
#define KUZNETZOV_HEADER_SIZE	24U	/* + index, protocol, packet type */

#define NO_STREAM_YET		SIZE_MAX	/* in place of a header's size */

#define LINKTYPE_ETHERNET	1

/* libpcap 1.10.5 and later have these in <pcap/pcap.h>. */
#ifndef LT_RESERVED1
#undef LT_LINKTYPE
#undef LT_LINKTYPE_EXT
#define LT_LINKTYPE(x)		((x) & 0x0000FFFF)
#define LT_LINKTYPE_EXT(x)	((x) & 0xFFFF0000)
#define LT_RESERVED1(x)		((x) & 0x03FF0000)
#endif

static uint32_t
swap32(uint32_t v)
{
	return (v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24);
}

static uint32_t
get32(const u_char *p, int swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (swapped ? swap32(v) : v);
}

static uint16_t
get16(const u_char *p, int swapped)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ((uint16_t)(swapped ? v >> 8 | v << 8 : v));
}

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

static enum pcap_tcp_decoded
more(struct pcap_tcp_record *r, size_t size)
{
	r->size = size;
	return (PCAP_TCP_MORE);
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

/* The first half of a stream's magic, in either byte order? */
static int
may_be_magic(uint32_t first)
{
	return (first >> 16 == MAGIC_USEC >> 16 || (first & 0xffff) == 0xb2a1);
}

/*
 * Does a stream header stand where a record is due?  As a record, one would
 * have to be of the year 2055 or 2083 and of one certain microsecond, so
 * this takes no packet for a header.  len >= 8.
 */
static int
is_stream_header(const u_char *buf)
{
	int swapped = !is_pcap_magic(get32(buf, 0));

	return (is_pcap_magic(get32(buf, swapped)) &&
	    is_known_version(get16(buf + 4, swapped), get16(buf + 6, swapped)));
}

static enum pcap_tcp_decoded
wrong_magic(struct pcap_tcp_decoder *d, const u_char *buf)
{
	if (get32(buf, 0) == MAGIC_PCAPNG)
		return (pcap_tcp_malformed(d, "a pcapng stream, not supported "
		    "yet: send pcap (dumpcap -P, tshark -F pcap)"));
	return (pcap_tcp_malformed(d, "not a pcap stream: it begins with "
	    "%02x %02x %02x %02x", buf[0], buf[1], buf[2], buf[3]));
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

static enum pcap_tcp_decoded
decode_header(struct pcap_tcp_decoder *d, const u_char *buf, size_t len,
    struct pcap_tcp_record *r)
{
	uint32_t magic, linktype;

	if (len < sizeof(magic))
		return (more(r, sizeof(magic)));
	d->swapped = !is_pcap_magic(get32(buf, 0));
	magic = get32(buf, d->swapped);
	if (!is_pcap_magic(magic))
		return (wrong_magic(d, buf));
	if (len < FILE_HEADER_SIZE)
		return (more(r, FILE_HEADER_SIZE));

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
	d->linktype = (int)LT_LINKTYPE(linktype);
	d->linktype_ext = (int)LT_LINKTYPE_EXT(linktype);
	d->max_caplen = d->max_snaplen(d->linktype);
	d->snaplen = get32(buf + 16, d->swapped);
	if (d->snaplen == 0 || d->snaplen > INT_MAX)
		d->snaplen = d->max_caplen;

	d->header_size = RECORD_HEADER_SIZE;
	if (magic == MAGIC_KUZNETZOV) {
		d->header_size = KUZNETZOV_HEADER_SIZE;
		/* A cooked capture has a faked Ethernet header on top. */
		if (d->linktype == LINKTYPE_ETHERNET)
			d->snaplen = d->snaplen > INT_MAX - 14 ? INT_MAX :
			    d->snaplen + 14;
	}
	set_lengths(d);
	set_scale(d, magic == MAGIC_NSEC);
	r->size = FILE_HEADER_SIZE;
	d->offset += r->size;
	return (PCAP_TCP_HEADER);
}

void
pcap_tcp_decoder_init(struct pcap_tcp_decoder *d, int precision,
    u_int (*max_snaplen)(int linktype))
{
	memset(d, 0, sizeof(*d));
	d->precision = precision;
	d->max_snaplen = max_snaplen;
	d->header_size = NO_STREAM_YET;
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
 * This runs once a packet: what is rare comes behind a test that is there
 * anyway, or costs one.
 */
enum pcap_tcp_decoded
pcap_tcp_decode(struct pcap_tcp_decoder *d, u_char *buf, size_t len,
    struct pcap_tcp_record *r)
{
	uint32_t sec, fraction, caplen, wirelen;

	if (len < d->header_size) {
		if (d->header_size == NO_STREAM_YET)
			return (decode_header(d, buf, len, r));
		return (more(r, d->header_size));
	}
	sec = get32(buf, 0);
	if (may_be_magic(sec) && is_stream_header(buf))
		return (decode_header(d, buf, len, r));
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
		return (more(r, d->header_size + (size_t)caplen));

	r->h.ts.tv_sec = sec;
	if (d->scale == PCAP_TCP_SCALE_NONE)
		r->h.ts.tv_usec = fraction;
	else if (d->scale == PCAP_TCP_SCALE_UP)
		r->h.ts.tv_usec = (suseconds_t)fraction * 1000;
	else
		r->h.ts.tv_usec = fraction / 1000;
	r->h.caplen = caplen < d->snaplen ? caplen : d->snaplen;
	r->h.len = wirelen;
	r->data = buf + d->header_size;
	r->size = d->header_size + (size_t)caplen;
	d->offset += r->size;
	return (PCAP_TCP_RECORD);
}
