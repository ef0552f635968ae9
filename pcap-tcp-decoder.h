/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.h - from the bytes of a pcap or pcapng stream to its
 * records, as they arrive and in place.  The formats are those of
 * pcap-savefile(5) and draft-ietf-opsawg-pcapng, as libpcap's own sf-pcap.c
 * and sf-pcapng.c read them.
 *
 * Pure: no I/O, and no allocation but for the interfaces of a pcapng
 * section.  A decoder belongs to one thread at a time.
 */
#ifndef pcap_tcp_decoder_h
#define pcap_tcp_decoder_h

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pcap/pcap.h>

enum pcap_tcp_decoded {
	PCAP_TCP_ERROR = -1,	/* the decoder's error says why; for good */
	PCAP_TCP_MORE,		/* size bytes are needed to go on */
	PCAP_TCP_SKIP,		/* size bytes that hold no packet */
	PCAP_TCP_RECORD		/* a packet; size bytes with its header */
};

struct pcap_tcp_record {
	struct pcap_pkthdr h;	/* caplen: as the stream allows */
	u_char *data;		/* points into the bytes that were decoded */
	size_t size;		/* bytes, always more than 0 */
};

/* What libpcap knows of link types, in bytes and DLT_ values. */
struct pcap_tcp_linktypes {
	int (*linktype_to_dlt)(int linktype);
	u_int (*max_snaplen_for_dlt)(int dlt);
	const char *(*name)(int dlt);	/* NULL if it has none */
};

struct pcap_tcp_interface;	/* of a pcapng section */

struct pcap_tcp_decoder {
	enum pcap_tcp_decoded (*decode)(struct pcap_tcp_decoder *d,
	    u_char *buf, size_t len, struct pcap_tcp_record *r);
	const struct pcap_tcp_linktypes *linktypes;
	int precision;		/* PCAP_TSTAMP_PRECISION_ of the records */

	/* What the stream's headers said, in host byte order. */
	int started;		/* they did, in this stream */
	int swapped;		/* the stream has the other byte order */
	uint16_t version_major, version_minor;
	int dlt;		/* DLT_, -1 before the first stream's */
	int linktype_ext;	/* FCS bits, as in pcap_datalink_ext(3PCAP) */
	uint32_t max_caplen;

	/* pcap */
	uint32_t snaplen;	/* from 1 to INT_MAX */
	uint32_t fits;		/* a caplen that is neither cut nor refused */
	uint32_t period;	/* see pcap_tcp_decode() */
	size_t header_size;	/* of a record, bytes */
	enum { PCAP_TCP_SCALE_NONE, PCAP_TCP_SCALE_UP, PCAP_TCP_SCALE_DOWN }
	    scale;
	enum { PCAP_TCP_CAPLEN_FIRST, PCAP_TCP_LEN_FIRST,
	    PCAP_TCP_SMALLER_FIRST } lengths;

	/* pcapng */
	uint32_t max_block;	/* bytes */
	uint32_t ninterfaces, interfaces_size;
	struct pcap_tcp_interface *interfaces;	/* owned */
	/* What the sender says it dropped, of all its streams. */
	uint64_t dropped;	/* isb_osdrop */
	uint64_t if_dropped;	/* isb_ifdrop */

	uint64_t offset;	/* bytes of the stream that were decoded */
	char error[160];	/* what is wrong, with the offset */
};

/*
 * Makes the decoder ready for its first stream; linktypes is kept, not
 * copied.
 */
void	pcap_tcp_decoder_init(struct pcap_tcp_decoder *d, int precision,
    const struct pcap_tcp_linktypes *linktypes);

/*
 * Makes it ready for another stream, which has to have the link type of the
 * first one.  Nothing else is kept but the counts of dropped packets.
 */
void	pcap_tcp_decoder_restart(struct pcap_tcp_decoder *d);

/* Releases what the decoder holds. */
void	pcap_tcp_decoder_free(struct pcap_tcp_decoder *d);

#define PCAP_TCP_NO_PERIOD	0x10000U	/* no time stamp is in it */

/*
 * Decodes what begins at buf, of which len bytes are here, into *r.  After
 * PCAP_TCP_SKIP and PCAP_TCP_RECORD the next call wants the bytes r->size
 * further on; after PCAP_TCP_MORE the same ones and at least r->size of them.
 * A stream header in the place of a record starts the parsing afresh.
 *
 * Nearly all records are pcap ones in this machine's byte order, need no
 * scaling and are of the same 18 hours, a period, as one that was found to be
 * no stream header.  These are decoded here, as a call would take as long.
 */
static inline enum pcap_tcp_decoded
pcap_tcp_decode(struct pcap_tcp_decoder *d, u_char *buf, size_t len,
    struct pcap_tcp_record *r)
{
	const size_t header_size = 16;
	uint32_t sec, fraction, caplen;
	size_t size;

	if (len < header_size)
		return (d->decode(d, buf, len, r));
	memcpy(&sec, buf, sizeof(sec));
	memcpy(&caplen, buf + 8, sizeof(caplen));
	size = header_size + caplen;
	if (sec >> 16 != d->period || caplen > d->fits || size > len)
		return (d->decode(d, buf, len, r));
	memcpy(&fraction, buf + 4, sizeof(fraction));
	memcpy(&r->h.len, buf + 12, sizeof(r->h.len));
	r->h.ts.tv_sec = (time_t)sec;
	r->h.ts.tv_usec = (suseconds_t)fraction;
	r->h.caplen = caplen;
	r->data = buf + header_size;
	r->size = size;
	d->offset += size;
	return (PCAP_TCP_RECORD);
}

#endif
