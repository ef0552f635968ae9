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

#include "ethertype.h"
#include "pcap-tcp-link.h"

/* Where there is no EtherType that is always the same; these are none. */
enum { IN_THE_HEADER, BY_FAMILY, BY_VERSION };

static const struct layout {
	int dlt;
	size_t size;		/* of the header */
	size_t at;		/* where in the header the EtherType is */
	unsigned int ethertype;
} layouts[] = {
	{ DLT_EN10MB, 14, 12, IN_THE_HEADER },
	{ DLT_LINUX_SLL, 16, 14, IN_THE_HEADER },
	{ DLT_LINUX_SLL2, 20, 0, IN_THE_HEADER },
	{ DLT_C_HDLC, 4, 2, IN_THE_HEADER },
	{ DLT_IPV4, 0, 0, ETHERTYPE_IP },
	{ DLT_IPV6, 0, 0, ETHERTYPE_IPV6 },
	{ DLT_PPP, 0, 0, ETHERTYPE_PPP },
	{ DLT_PPP_SERIAL, 0, 0, ETHERTYPE_PPP },
	{ DLT_PPP_ETHER, 0, 0, ETHERTYPE_PPPOES },
	{ DLT_RAW, 0, 0, BY_VERSION },
	{ DLT_NULL, 4, 0, BY_FAMILY },
	{ DLT_LOOP, 4, 0, BY_FAMILY },
	{ -1, 0, 0, 0 }
};

int
pcap_tcp_link_is_known(int dlt)
{
	const struct layout *l = layouts;

	while (l->dlt != -1 && l->dlt != dlt)
		l++;
	return (l->dlt != -1);
}

static unsigned int
version(const unsigned char *p)
{
	return (p[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}

/* By the address family, in either byte order; each system has its own. */
static unsigned int
family(const unsigned char *p)
{
	unsigned int n = p[0] == 0 && p[1] == 0 ? p[3] : p[0];

	return (n == 2 ? ETHERTYPE_IP : n == 10 || n == 24 || n == 28 ||
	    n == 30 ? ETHERTYPE_IPV6 : 0);
}

size_t
pcap_tcp_link_network(int dlt, const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	const struct layout *l = layouts;

	while (l->dlt != dlt)
		l++;
	if (length < l->size || length == 0) {
		*ethertype = 0;
		return (length);
	}
	switch (l->ethertype) {

	case IN_THE_HEADER:
		*ethertype = (unsigned int)data[l->at] << 8 | data[l->at + 1];
		break;

	case BY_FAMILY:
		*ethertype = family(data);
		break;

	case BY_VERSION:
		*ethertype = version(data);
		break;

	default:
		*ethertype = l->ethertype;
		break;
	}
	return (l->size);
}
