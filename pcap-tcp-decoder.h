/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.h - from the bytes of a pcap stream to its records, as
 * they arrive and in place.  The format is that of pcap-savefile(5), as
 * libpcap's own sf-pcap.c reads it.
 *
 * Pure: no I/O, no allocation.  A decoder belongs to one thread at a time.
 */
#ifndef pcap_tcp_decoder_h
#define pcap_tcp_decoder_h

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

enum pcap_tcp_decoded {
	PCAP_TCP_ERROR = -1,	/* the decoder's error says why; for good */
	PCAP_TCP_MORE,		/* size bytes are needed to go on */
	PCAP_TCP_HEADER,	/* a stream header of size bytes */
	PCAP_TCP_RECORD		/* a packet; size bytes with its header */
};

struct pcap_tcp_record {
	struct pcap_pkthdr h;	/* caplen <= the stream's snapshot length */
	u_char *data;		/* points into the bytes that were decoded */
	size_t size;		/* bytes, always more than 0 */
};

struct pcap_tcp_decoder {
	u_int (*max_snaplen)(int linktype);
	int precision;		/* PCAP_TSTAMP_PRECISION_ of the records */

	/* What the last stream header said, in host byte order. */
	int swapped;		/* the stream has the other byte order */
	uint16_t version_major, version_minor;
	int linktype;		/* LINKTYPE_, not DLT_ */
	int linktype_ext;	/* FCS bits, as in pcap_datalink_ext(3PCAP) */
	uint32_t snaplen;	/* from 1 to INT_MAX */

	uint32_t max_caplen;
	size_t header_size;	/* of a record, bytes */
	enum { PCAP_TCP_SCALE_NONE, PCAP_TCP_SCALE_UP, PCAP_TCP_SCALE_DOWN }
	    scale;
	enum { PCAP_TCP_CAPLEN_FIRST, PCAP_TCP_LEN_FIRST,
	    PCAP_TCP_SMALLER_FIRST } lengths;

	uint64_t offset;	/* bytes of the stream that were decoded */
	char error[160];	/* what is wrong, with the offset */
};

/*
 * Makes the decoder ready for the first byte of a stream.  max_snaplen
 * gives the largest sane captured length of a LINKTYPE_ in bytes.
 */
void	pcap_tcp_decoder_init(struct pcap_tcp_decoder *d, int precision,
    u_int (*max_snaplen)(int linktype));

/*
 * Decodes what begins at buf, of which len bytes are here, into *r.  After
 * PCAP_TCP_HEADER and PCAP_TCP_RECORD the next call wants the bytes r->size
 * further on; after PCAP_TCP_MORE the same ones and at least r->size of them.
 * A stream header in the place of a record starts the parsing afresh.
 */
enum pcap_tcp_decoded pcap_tcp_decode(struct pcap_tcp_decoder *d, u_char *buf,
    size_t len, struct pcap_tcp_record *r);

/*
 * Fills in the error, with the offset, as if the decoder had found it.
 * Returns PCAP_TCP_ERROR.
 */
enum pcap_tcp_decoded pcap_tcp_malformed(struct pcap_tcp_decoder *d,
    const char *fmt, ...) PCAP_PRINTFLIKE(2, 3);

#endif
