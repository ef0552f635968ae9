/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-opening.h - when a device is open, or why it will not be.
 *
 * Pure: no I/O, no allocation.
 */
#ifndef pcap_tcp_opening_h
#define pcap_tcp_opening_h

#include <stddef.h>
#include <stdint.h>

#include "pcap-tcp-peer.h"

struct pcap_tcp_opening {
	int64_t give_up;	/* when to wait no longer for a first stream */
	int64_t grace_end;	/* nor for others; NEVER: no stream yet */
};

/* How matters stand. */
struct pcap_tcp_standing {
	/* Peers that we connect to, */
	unsigned int undecided;	/* with neither a stream nor a failure, or */
	unsigned int retrying;	/* failed, with another attempt in time. */
	unsigned int streams;	/* senders' included */
	int is_listening;
};

enum pcap_tcp_opened {
	PCAP_TCP_OPENING,	/* not yet */
	PCAP_TCP_OPEN,
	PCAP_TCP_REFUSED
};

void	pcap_tcp_opening_init(struct pcap_tcp_opening *o,
    const struct pcap_tcp_device *device, int64_t now);

/* Decides, and starts the time of grace with the first stream. */
enum pcap_tcp_opened pcap_tcp_opening_decide(struct pcap_tcp_opening *o,
    const struct pcap_tcp_standing *s, int64_t now);

/*
 * Why there is no stream, of each of n peers that we connect to; of senders,
 * if there are none, that of the last one ("": none came).  Sets errno.
 */
void	pcap_tcp_opening_refuse(struct pcap_tcp_peer *const *peer,
    unsigned int n, int timeout, const char *last_sender, char *errbuf,
    size_t size);

#endif
