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
#include <pcap/sll.h>

#include "ethertype.h"
#include "pcap-tcp-link.h"
#include "ppp.h"

#define DLT_RAW_OPENBSD	14

/* The address that Cisco's HDLC header begins with. */
#define CISCO_UNICAST	0x0f
#define CISCO_BROADCAST	0x8f

/* Where there is no EtherType that is always the same; these are none. */
enum { IN_THE_HEADER, COOKED, HDLC, BY_FAMILY, BY_VERSION, BY_CODE, PPP };

static const struct layout {
	int dlt;
	size_t size;		/* of the header */
	size_t at;		/* where in the header the EtherType is */
	unsigned int ethertype;
	size_t hatype;		/* of a cooked header: where it is */
} layouts[] = {
	{ DLT_EN10MB, 14, 12, IN_THE_HEADER, 0 },
	{ DLT_LINUX_SLL, SLL_HDR_LEN, 14, COOKED, 2 },
	{ DLT_LINUX_SLL2, SLL2_HDR_LEN, 0, COOKED, 8 },
	{ DLT_C_HDLC, 4, 2, HDLC, 0 },
	{ DLT_IPV4, 0, 0, ETHERTYPE_IP, 0 },
	{ DLT_IPV6, 0, 0, ETHERTYPE_IPV6, 0 },
	{ DLT_PPP, 0, 0, PPP, 0 },
	{ DLT_PPP_SERIAL, 0, 0, PPP, 0 },
	{ DLT_PPP_ETHER, 0, 0, BY_CODE, 0 },
	{ DLT_RAW, 0, 0, BY_VERSION, 0 },
	{ DLT_RAW_OPENBSD, 0, 0, BY_VERSION, 0 },
	{ DLT_NULL, 4, 0, BY_FAMILY, 0 },
	{ DLT_LOOP, 4, 0, BY_FAMILY, 0 },
	{ -1, 0, 0, 0, 0 }
};

static unsigned int
get16(const unsigned char *p)
{
	return ((unsigned int)p[0] << 8 | p[1]);
}

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
	return (p[0] >> 4 == 4 ? ETHERTYPE_IP : p[0] >> 4 == 6 ?
	    ETHERTYPE_IPV6 : 0);
}

/* By the address family, in either byte order; each system has its own. */
static unsigned int
family(const unsigned char *p)
{
	unsigned int n = get16(p) == 0 ? get16(p + 2) :
	    get16(p + 2) == 0 ? p[1] * 256U + p[0] : 0;

	return (n == 2 ? ETHERTYPE_IP : n == 10 || n == 24 || n == 28 ||
	    n == 30 ? ETHERTYPE_IPV6 : 0);
}

/* Behind these is no network layer, whatever the protocol's number is. */
static unsigned int
cooked(unsigned int hatype, unsigned int protocol)
{
	switch (hatype) {

	case 770:	/* ARPHRD_FRAD */
	case 801:	/* ARPHRD_IEEE80211 */
	case 802:	/* ARPHRD_IEEE80211_PRISM */
	case 803:	/* ARPHRD_IEEE80211_RADIOTAP */
	case 824:	/* ARPHRD_NETLINK */
		return (0);

	default:
		return (protocol);
	}
}

/* Cisco's keep-alive messages have the number that elsewhere is RARP's. */
static unsigned int
hdlc(unsigned int protocol)
{
	return (protocol == ETHERTYPE_REVARP ? 0 : protocol);
}

/* RFC 1661, 2: the protocol's first byte may be left out. */
size_t
pcap_tcp_link_ppp(const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	size_t size = length >= 2 && data[0] == PPP_ADDRESS &&
	    data[1] == PPP_CONTROL ? 2 : 0;
	unsigned int protocol;

	if (length - size < 2) {
		*ethertype = 0;
		return (length);
	}
	protocol = data[size++];
	if ((protocol & 1) == 0)
		protocol = protocol << 8 | data[size++];
	*ethertype = protocol == PPP_IP ? ETHERTYPE_IP :
	    protocol == PPP_IPV6 ? ETHERTYPE_IPV6 :
	    protocol == PPP_MPLS_UCAST ? ETHERTYPE_MPLS :
	    protocol == PPP_MPLS_MCAST ? ETHERTYPE_MPLS_MULTI : ETHERTYPE_PPP;
	return (*ethertype == ETHERTYPE_PPP ? 0 : size);
}

/* Of a packet that has its header, and a byte. */
static unsigned int
ethertype_of(const struct layout *l, const unsigned char *data, size_t length)
{
	switch (l->ethertype) {

	case IN_THE_HEADER:
		return (get16(data + l->at));

	case COOKED:
		return (cooked(get16(data + l->hatype), get16(data + l->at)));

	case HDLC:
		return (hdlc(get16(data + l->at)));

	case BY_FAMILY:
		return (family(data));

	case BY_VERSION:
		return (version(data));

	case BY_CODE:		/* RFC 2516, 4 */
		return (length > 1 && data[1] != 0 ? ETHERTYPE_PPPOED :
		    ETHERTYPE_PPPOES);

	default:
		return (l->ethertype);
	}
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
	if (dlt == DLT_PPP_SERIAL && (data[0] == CISCO_UNICAST ||
	    data[0] == CISCO_BROADCAST))
		return (pcap_tcp_link_network(DLT_C_HDLC, data, length,
		    ethertype));
	if (l->ethertype == PPP)
		return (pcap_tcp_link_ppp(data, length, ethertype));
	*ethertype = ethertype_of(l, data, length);
	return (l->size);
}
