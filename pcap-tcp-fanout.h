/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-fanout.h - which of N workers a packet is for
 *
 * Both directions of a flow are for the same one, on every machine, and so are
 * all fragments of a datagram: for that of the addresses, where the rest of
 * their flow need not be.  A packet's flow is the innermost that can be seen:
 * through VLAN and MPLS tags, PPPoE, IPv6 extension headers, IP in IP, GRE,
 * VXLAN, GENEVE and GTP-U.  Pure; safe in any thread.
 */
#ifndef pcap_tcp_fanout_h
#define pcap_tcp_fanout_h

#include <stddef.h>
#include <stdint.h>

#include "pcap-tcp-record.h"

/*
 * Returns the worker, from 1 to n, of a packet whose network layer is the
 * length bytes at data, of this EtherType; what is not IP is for worker 1.
 *
 * The worker is 1 + n * h / 2^32, rounded down.  h is the upper half of
 * pcap_tcp_hash_both() of both ends.  An IPv4 end is pcap_tcp_hash_word() of
 * address * 2^32 + port * 2^16 + protocol, an IPv6 end pcap_tcp_hash() of three
 * words, the address's halves and port * 2^16 + protocol.  Without ports, as
 * for ICMP and ESP, these are 0; for fragments, too, and an IPv6 fragment's
 * protocol is that of its fragment header, 44.  With offset 0 and none to
 * follow, it is no fragment: that header is skipped.
 */
unsigned int pcap_tcp_fanout_worker(const unsigned char *data, size_t length,
    unsigned int ethertype, unsigned int n);

struct pcap_tcp_fanout {
	int dlt;		/* one that pcap_tcp_link_is_known() */
	unsigned int worker, nworkers;
	uint64_t others;	/* packets that were left out */
};

/* The stage that leaves out what is for others; its state is of that kind. */
size_t	pcap_tcp_fanout_stage(void *fanout, struct pcap_tcp_record *r,
    size_t n);

#endif
