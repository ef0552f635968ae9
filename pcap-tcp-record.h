/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-record.h - a packet as it stands in the bytes of its stream
 */
#ifndef pcap_tcp_record_h
#define pcap_tcp_record_h

#include <stdint.h>

#include <pcap/pcap.h>

/* What the stream said of a record, in one word. */
struct pcap_tcp_origin {
	uint16_t dlt;
	uint16_t swapped;	/* It has not this machine's byte order. */
};

struct pcap_tcp_record {
	struct pcap_pkthdr h;	/* caplen: as the stream allows */
	u_char *data;		/* points into the bytes that were decoded */
	struct pcap_tcp_origin origin;
};

/* The records of [next, end). */
struct pcap_tcp_batch {
	struct pcap_tcp_record *next, *end;
};

/*
 * Works on n records in place; may leave some out.  Returns how many are left,
 * which stand in front.
 */
typedef size_t pcap_tcp_stage(void *state, struct pcap_tcp_record *r,
    size_t n);

#endif
