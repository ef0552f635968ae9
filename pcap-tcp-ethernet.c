/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-ethernet.c - packets of other link types become Ethernet
 */

#include <string.h>

#include <pcap/sll.h>

#include "pcap-tcp-ethernet.h"
#include "pcap-tcp-link.h"

#define ADDRESS_SIZE	6
#define MIN_ETHERTYPE	0x600	/* What is less is a length, */
#define MAX_LENGTH	1500	/* of so many bytes at most. */

static unsigned int
get16(const unsigned char *p)
{
	return ((unsigned int)p[0] << 8 | p[1]);
}

static void
set_addresses(unsigned char *header, unsigned int type,
    const unsigned char *source, unsigned int size)
{
	if (type == LINUX_SLL_BROADCAST)
		memset(header, 0xff, ADDRESS_SIZE);
	else if (type == LINUX_SLL_MULTICAST)
		header[0] |= 1;
	if (size == ADDRESS_SIZE)
		memcpy(header + ADDRESS_SIZE, source, ADDRESS_SIZE);
}

/* Returns 0 if that is not possible. */
static int
convert(struct pcap_tcp_record *r)
{
	unsigned char *p = r->data, header[PCAP_TCP_ETHERNET_SIZE] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1
	};
	unsigned int ethertype;
	size_t size = pcap_tcp_link_network(r->origin.dlt, p, r->h.caplen,
	    &ethertype);
	/* The lengths are a peer's: this one may be less than the other. */
	uint32_t length = r->h.len > size ? r->h.len - (uint32_t)size : 0;

	if (ethertype == 0)
		return (0);
	if (r->origin.dlt == DLT_LINUX_SLL)
		set_addresses(header, get16(p), p + 6, get16(p + 4));
	else if (r->origin.dlt == DLT_LINUX_SLL2)
		set_addresses(header, p[10], p + 12, p[11]);
	else if (ethertype < MIN_ETHERTYPE)
		return (0);
	if (ethertype < MIN_ETHERTYPE) {
		if ((ethertype != LINUX_SLL_P_802_2 &&
		    ethertype != LINUX_SLL_P_802_3) || length > MAX_LENGTH)
			return (0);
		ethertype = length;
	}
	header[12] = (unsigned char)(ethertype >> 8);
	header[13] = (unsigned char)ethertype;
	r->data = p + size - sizeof(header);
	memcpy(r->data, header, sizeof(header));
	r->h.caplen = r->h.caplen - (uint32_t)size + sizeof(header);
	r->h.len = length > UINT32_MAX - sizeof(header) ? UINT32_MAX :
	    length + (uint32_t)sizeof(header);
	return (1);
}

size_t
pcap_tcp_ethernet_stage(void *ethernet, struct pcap_tcp_record *r, size_t n)
{
	struct pcap_tcp_ethernet *e = ethernet;
	const struct pcap_tcp_record *end = r + n;
	struct pcap_tcp_record *next = r;

	if (!*e->is_needed)
		return (n);
	for (; r != end; r++) {
		if (r->origin.dlt == DLT_EN10MB || convert(r))
			*next++ = *r;
	}
	e->left_out += (uint64_t)(end - next);
	return (n - (size_t)(end - next));
}
