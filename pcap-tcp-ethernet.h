/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-ethernet.h - packets of other link types become Ethernet, in place
 *
 * Pure; safe in any thread.
 */
#ifndef pcap_tcp_ethernet_h
#define pcap_tcp_ethernet_h

#include <stddef.h>
#include <stdint.h>

#include "pcap-tcp-record.h"

/* What is written in front of the packet of a record at most, in bytes. */
#define PCAP_TCP_ETHERNET_SIZE	14

struct pcap_tcp_ethernet {
	const int *is_needed;	/* 0 as long as all packets are Ethernet */
	uint64_t left_out;	/* packets that cannot become it */
};

/*
 * The stage for link types that pcap_tcp_link_is_known(); its state is of that
 * kind.  It writes in front of a packet: records, and what stands between them,
 * have been decoded.
 */
size_t	pcap_tcp_ethernet_stage(void *ethernet, struct pcap_tcp_record *r,
    size_t n);

#endif
