/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-format.h - the state of a decoder, and what the formats share
 */
#ifndef pcap_tcp_format_h
#define pcap_tcp_format_h

#include <byteswap.h>
#include <stdint.h>
#include <string.h>

#include <pcap/pcap.h>

#include "pcap-tcp-record.h"

/* What libpcap knows of link types, in bytes and DLT_ values. */
struct pcap_tcp_linktypes {
	int (*linktype_to_dlt)(int linktype);
	u_int (*max_snaplen_for_dlt)(int dlt);
	const char *(*name)(int dlt);	/* NULL if it has none */
};

/* What the streams of a device have in common. */
struct pcap_tcp_decoding {
	const struct pcap_tcp_linktypes *linktypes;
	int precision;		/* PCAP_TSTAMP_PRECISION_ of the records */
	int dlt;		/* the device's link type, -1: not known yet */
	int dlt_is_given;	/* by linktype=, or pcap_set_datalink() */
	int is_mixed;		/* There are others, which become that one. */
	int stamps_arrival;	/* Time stamps are this, not the senders': */
	struct timeval arrived;	/* when what is read now did; see precision */
	/* What the senders say they dropped, all streams together. */
	uint64_t dropped;	/* isb_osdrop */
	uint64_t if_dropped;	/* isb_ifdrop, and streams that are damaged */
};

/* Bytes that have arrived and are not decoded. */
struct pcap_tcp_input {
	u_char *next;
	size_t left;
	size_t needed;	/* at least so many to go on, 1 if that is unknown */
};

/* What became of the bytes at hand. */
enum pcap_tcp_decoded {
	PCAP_TCP_ERROR = -1,	/* the decoder's error says why */
	PCAP_TCP_MORE,		/* the input needs more of them */
	PCAP_TCP_DONE,		/* taken */
	PCAP_TCP_RESTART	/* left: another stream header stands there */
};

/* What an interface of a pcapng section says, and those alike behind it. */
struct pcap_tcp_interface {
	uint32_t first;		/* its number in the section */
	uint16_t dlt;
	uint16_t shift;		/* units are 2^shift; 0 if a power of ten */
	uint64_t units;		/* of a time stamp, in a second; 0: forgotten */
	uint64_t offset;	/* seconds, modulo 2^64 */
};

/* The last that a section said of an interface. */
struct pcap_tcp_reported {
	uint32_t section, interface;
	uint64_t dropped, if_dropped;
};

#define PCAP_TCP_MAX_INTERFACES	8192	/* that are not like the one before */
#define PCAP_TCP_MAX_REPORTED	256

struct pcap_tcp_decoder {
	/*
	 * Takes an item of the stream, or some.  Fills the batch from next on,
	 * which it moves; if the stream has started, there is room for a
	 * record.
	 */
	enum pcap_tcp_decoded (*run)(struct pcap_tcp_decoder *d,
	    struct pcap_tcp_input *in, struct pcap_tcp_batch *b);
	struct pcap_tcp_decoding *shared;

	/* What the stream's headers said, in host byte order. */
	const char *format;	/* "pcap" or "pcapng" */
	int started;		/* they did, in this stream */
	int swapped;		/* the stream has the other byte order */
	uint16_t version_major, version_minor;
	int dlt;		/* what it has to have; -1: the first one */
	int linktype_ext;	/* FCS bits, as in pcap_datalink_ext(3PCAP) */
	uint32_t snaplen;	/* pcapng: of the section's first interface,
				   0: none */

	struct pcap_tcp_origin origin;	/* of each record of pcap; the dlt: of
					   pcapng's first interface */

	/* pcap */
	uint32_t longest;	/* packet, in bytes, that may come */
	uint32_t period;	/* see decode_period() */
	size_t header_size;	/* of a record, bytes */
	uint32_t divide, multiply;	/* what makes of fractions the user's */
	int is_plain;		/* decode_period() does for nearly all of it */

	/* pcapng */
	uint32_t max_block;	/* bytes */
	uint32_t skipped;	/* bytes of a block that is being skipped */
	uint32_t skip;		/* so many of them are left */
	uint32_t ninterfaces;
	uint32_t section;	/* counts them, from 1 on */
	struct pcap_tcp_reported reported[PCAP_TCP_MAX_REPORTED];

	uint64_t offset;	/* bytes of the stream that were decoded */
	int failed;		/* for good */
	char error[160];	/* what is wrong, with the offset */

	/* At the end, as it takes no memory before it is used. */
	uint32_t nentries;
	struct pcap_tcp_interface interface[PCAP_TCP_MAX_INTERFACES];
};

/* The first field of a pcap stream, in the sender's byte order. */
#define MAGIC_USEC	0xa1b2c3d4U
#define MAGIC_NSEC	0xa1b23c4dU
#define MAGIC_KUZNETZOV	0xa1b2cd34U

/* A Section Header Block's type, which reads the same in both orders. */
#define BT_SHB		0x0a0d0d0aU
#define BYTE_ORDER_MAGIC	0x1a2b3c4dU

/*
 * Are the bytes the header of a stream?  Each format looks for both where an
 * item of its own is due.
 */
int	pcap_tcp_is_pcap_magic(uint32_t magic);
int	pcap_tcp_is_pcap_header(const u_char *buf);	/* 8 bytes */
int	pcap_tcp_is_section_header(const u_char *buf);	/* 12 bytes */

/* Fills in the error and adds the offset; returns PCAP_TCP_ERROR. */
enum pcap_tcp_decoded pcap_tcp_malformed(struct pcap_tcp_decoder *d,
    const char *fmt, ...) PCAP_PRINTFLIKE(2, 3);

/*
 * PCAP_TCP_DONE, or PCAP_TCP_ERROR if this DLT_ is neither the device's nor
 * becomes that, or is another one than before.
 */
enum pcap_tcp_decoded pcap_tcp_accept_dlt(struct pcap_tcp_decoder *d, int dlt);

/* The stream starts, with what that is compared with, or else this one. */
void	pcap_tcp_set_dlt(struct pcap_tcp_decoder *d, int dlt);

/*
 * The formats.  Each takes the header that begins a stream, of which 4 bytes
 * are here, 12 for pcapng, and has the decoder run over what follows.
 */
enum pcap_tcp_decoded pcap_tcp_pcap_start(struct pcap_tcp_decoder *d,
    struct pcap_tcp_input *in);
enum pcap_tcp_decoded pcap_tcp_pcapng_start(struct pcap_tcp_decoder *d,
    struct pcap_tcp_input *in);

static inline enum pcap_tcp_decoded
pcap_tcp_more(struct pcap_tcp_input *in, size_t needed)
{
	in->needed = needed;
	return (PCAP_TCP_MORE);
}

static inline void
pcap_tcp_take(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    size_t size)
{
	in->next += size;
	in->left -= size;
	d->offset += size;
}

static inline uint32_t
get32(const u_char *p, int swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (swapped ? bswap_32(v) : v);
}

static inline uint16_t
get16(const u_char *p, int swapped)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ((uint16_t)(swapped ? bswap_16(v) : v));
}

#endif
