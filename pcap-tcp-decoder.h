/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.h - from the bytes of a pcap or pcapng stream to its
 * records, as they arrive and in place.  The formats are those of
 * pcap-savefile(5) and draft-ietf-opsawg-pcapng, as libpcap's own sf-pcap.c
 * and sf-pcapng.c read them.
 *
 * Pure: no I/O, and no allocation.  A decoder belongs to one thread at a time.
 */
#ifndef pcap_tcp_decoder_h
#define pcap_tcp_decoder_h

#include "pcap-tcp-format.h"

/* Makes the decoder ready for its first stream; shared is kept, not copied. */
void	pcap_tcp_decoder_init(struct pcap_tcp_decoder *d,
    struct pcap_tcp_decoding *shared);

/*
 * Makes it ready for another stream of the same peer, which has to have the
 * link type of the one before.  Nothing else is kept.
 */
void	pcap_tcp_decoder_restart(struct pcap_tcp_decoder *d);

/*
 * Decodes up to n records to r, in place, and takes their bytes from in.
 * Returns how many.  If they are fewer than n, in->needed bytes are needed,
 * which is more than in->left, or d->failed is set for good.  With n == 0 it
 * decodes what starts the stream (d->started) and no further.  A stream
 * header in the place of a record starts the parsing afresh.
 */
size_t	pcap_tcp_decode(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_record *r, size_t n);

#endif
