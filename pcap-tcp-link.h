/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-link.h - where the network layer begins in packets of a link type,
 * and the stage that puts Ethernet in front of it, in place
 *
 * Pure; safe in any thread.
 */
#ifndef pcap_tcp_link_h
#define pcap_tcp_link_h

#include <stddef.h>
#include <stdint.h>

#include "pcap-tcp-record.h"

/* IEEE 802 Numbers, "EtherTypes" (IANA); libpcap has no name for it. */
#define ETHERTYPE_PPP	0x880b

/* Are there packets of this DLT_ in which IP is found? */
int	pcap_tcp_link_is_known(int dlt);

/*
 * Returns how many bytes are in front of the network layer in a packet of
 * which length bytes are there, and its EtherType, which is 0 if the packet is
 * cut before that or has none.  A cooked packet's may be one of Linux's
 * numbers below 0x600.
 */
size_t	pcap_tcp_link_network(int dlt, const unsigned char *data,
    size_t length, unsigned int *ethertype);

/*
 * The same of PPP, with or without its HDLC header.  What has no EtherType of
 * its own is ETHERTYPE_PPP, with nothing in front.
 */
size_t	pcap_tcp_link_ppp(const unsigned char *data, size_t length,
    unsigned int *ethertype);

/* What is written in front of a record's packet at most, in bytes. */
#define PCAP_TCP_ETHERNET_SIZE	14

struct pcap_tcp_ethernet {
	const int *is_needed;	/* 0 as long as all packets are Ethernet */
	uint64_t left_out;	/* packets that cannot become it */
};

/*
 * The stage that makes Ethernet of records whose DLT_ is known here; its state
 * is of that kind.  It writes in front of a packet: all up to the end of the
 * batch has been decoded.
 */
size_t	pcap_tcp_ethernet_stage(void *ethernet, struct pcap_tcp_record *r,
    size_t n);

#endif
