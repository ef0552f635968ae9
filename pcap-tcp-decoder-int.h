/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder-int.h - what the decoder's files share
 */
#ifndef pcap_tcp_decoder_int_h
#define pcap_tcp_decoder_int_h

#include <string.h>

#include "pcap-tcp-decoder.h"

/* A Section Header Block's type, which reads the same in both orders. */
#define BT_SHB	0x0a0d0d0aU

/* pcap-tcp-decoder.c */

/* Fills in the error and adds the offset; returns PCAP_TCP_ERROR. */
enum pcap_tcp_decoded pcap_tcp_malformed(struct pcap_tcp_decoder *d,
    const char *fmt, ...) PCAP_PRINTFLIKE(2, 3);

/*
 * A header gave the stream's link type.  Returns PCAP_TCP_SKIP, or
 * PCAP_TCP_ERROR if it is another one than before.
 */
enum pcap_tcp_decoded pcap_tcp_set_linktype(struct pcap_tcp_decoder *d,
    int linktype);

/* A snapshot length as a header gives it, made sane. */
uint32_t pcap_tcp_adjust_snaplen(const struct pcap_tcp_decoder *d,
    uint32_t snaplen);

/* Starts the stream, or starts it afresh; len >= 8. */
int	pcap_tcp_is_pcap_header(const u_char *buf);
enum pcap_tcp_decoded pcap_tcp_decode_pcap_header(struct pcap_tcp_decoder *d,
    u_char *buf, size_t len, struct pcap_tcp_record *r);

/* pcap-tcp-pcapng.c: a block, and the Section Header Block; len >= 12. */
int	pcap_tcp_is_section_header(const u_char *buf);
enum pcap_tcp_decoded pcap_tcp_decode_section(struct pcap_tcp_decoder *d,
    u_char *buf, size_t len, struct pcap_tcp_record *r);

/* pcap-tcp-refusal.c: says what a stream is that is none of ours. */
enum pcap_tcp_decoded pcap_tcp_refuse(struct pcap_tcp_decoder *d,
    const u_char *buf, size_t len);

static inline enum pcap_tcp_decoded
pcap_tcp_more(struct pcap_tcp_record *r, size_t size)
{
	r->size = size;
	return (PCAP_TCP_MORE);
}

static inline enum pcap_tcp_decoded
pcap_tcp_take(struct pcap_tcp_decoder *d, struct pcap_tcp_record *r,
    size_t size, enum pcap_tcp_decoded as)
{
	r->size = size;
	d->offset += size;
	return (as);
}

static inline uint32_t
swap32(uint32_t v)
{
	return (v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24);
}

static inline uint32_t
get32(const u_char *p, int swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (swapped ? swap32(v) : v);
}

static inline uint16_t
get16(const u_char *p, int swapped)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ((uint16_t)(swapped ? v >> 8 | v << 8 : v));
}

#endif
