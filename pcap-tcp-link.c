/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-link.c - where the network layer begins
 *
 * The layouts are those of https://www.tcpdump.org/linktypes.html.
 */

#include <stdint.h>

#include <pcap/pcap.h>

#include "pcap-tcp-link.h"

#define ETHERTYPE_IPV4	0x0800
#define ETHERTYPE_IPV6	0x86dd
#define ETHERTYPE_PPP	0x880b
#define ETHERTYPE_PPPOE	0x8864

static const struct layout {
	int dlt;
	size_t size;		/* of the header */
	size_t at;		/* where the EtherType is */
	unsigned int ethertype;	/* 0: there; else always this */
} layouts[] = {
	{ DLT_EN10MB, 14, 12, 0 },
	{ DLT_LINUX_SLL, 16, 14, 0 },
	{ DLT_LINUX_SLL2, 20, 0, 0 },
	{ DLT_C_HDLC, 4, 2, 0 },
	{ DLT_IPV4, 0, 0, ETHERTYPE_IPV4 },
	{ DLT_IPV6, 0, 0, ETHERTYPE_IPV6 },
	{ DLT_PPP, 0, 0, ETHERTYPE_PPP },
	{ DLT_PPP_SERIAL, 0, 0, ETHERTYPE_PPP },
	{ DLT_PPP_ETHER, 0, 0, ETHERTYPE_PPPOE },
};

int
pcap_tcp_link_is_known(int dlt)
{
	const struct layout *l;

	for (l = layouts; l < layouts + sizeof(layouts) / sizeof(*l); l++) {
		if (l->dlt == dlt)
			return (1);
	}
	return (dlt == DLT_RAW || dlt == DLT_NULL || dlt == DLT_LOOP);
}

/* By the address family, in either byte order; each system has its own. */
static unsigned int
family(const unsigned char *p)
{
	unsigned int n = p[0] == 0 && p[1] == 0 ? p[3] : p[0];

	return (n == 2 ? ETHERTYPE_IPV4 : n == 10 || n == 24 || n == 28 ||
	    n == 30 ? ETHERTYPE_IPV6 : 0);
}

size_t
pcap_tcp_link_network(int dlt, const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	const struct layout *l = layouts;

	*ethertype = 0;
	if (dlt == DLT_RAW) {
		if (length > 0)
			*ethertype = data[0] >> 4 == 6 ? ETHERTYPE_IPV6 :
			    ETHERTYPE_IPV4;
		return (0);
	}
	if (dlt == DLT_NULL || dlt == DLT_LOOP) {
		if (length < 4)
			return (length);
		*ethertype = family(data);
		return (4);
	}
	while (l->dlt != dlt)
		l++;
	if (length < l->size)
		return (length);
	*ethertype = l->ethertype != 0 ? l->ethertype :
	    (unsigned int)data[l->at] << 8 | data[l->at + 1];
	return (l->size);
}
