/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-link.c - where the network layer begins, and Ethernet in front of it
 *
 * The layouts are those of https://www.tcpdump.org/linktypes.html.
 */

#include <string.h>

#include <pcap/sll.h>

#include "ethertype.h"
#include "pcap-tcp-link.h"
#include "ppp.h"

#define DLT_RAW_OPENBSD	14

/* Cisco's HDLC header, and the address that it begins with. */
#define HDLC_SIZE	4
#define CISCO_UNICAST	0x0f
#define CISCO_BROADCAST	0x8f

/* Where there is no EtherType that is always the same; these are none. */
enum { IN_THE_HEADER, COOKED, HDLC, BY_FAMILY, BY_VERSION, BY_CODE, PPP };

static const struct layout {
	int dlt;
	size_t size;		/* of the header */
	size_t at;		/* where in the header the EtherType is */
	unsigned int ethertype;
	/* Of a cooked header: where these are. */
	size_t hatype, packet_type, address;
} layouts[] = {
	{ DLT_EN10MB, 14, 12, IN_THE_HEADER, 0, 0, 0 },
	{ DLT_LINUX_SLL, SLL_HDR_LEN, 14, COOKED, 2, 1, 6 },
	{ DLT_LINUX_SLL2, SLL2_HDR_LEN, 0, COOKED, 8, 10, 12 },
	{ DLT_C_HDLC, HDLC_SIZE, 2, HDLC, 0, 0, 0 },
	{ DLT_IPV4, 0, 0, ETHERTYPE_IP, 0, 0, 0 },
	{ DLT_IPV6, 0, 0, ETHERTYPE_IPV6, 0, 0, 0 },
	{ DLT_PPP, 0, 0, PPP, 0, 0, 0 },
	{ DLT_PPP_SERIAL, 0, 0, PPP, 0, 0, 0 },
	{ DLT_PPP_ETHER, 0, 0, BY_CODE, 0, 0, 0 },
	{ DLT_RAW, 0, 0, BY_VERSION, 0, 0, 0 },
	{ DLT_RAW_OPENBSD, 0, 0, BY_VERSION, 0, 0, 0 },
	{ DLT_NULL, 4, 0, BY_FAMILY, 0, 0, 0 },
	{ DLT_LOOP, 4, 0, BY_FAMILY, 0, 0, 0 },
	{ -1, 0, 0, 0, 0, 0, 0 }
};

#define ADDRESS_SIZE	6
#define MIN_ETHERTYPE	0x600	/* What is less is a length, */
#define MAX_LENGTH	1500	/* of so many bytes at most. */

/* Of nobody, and locally administered: destination, and source. */
static const unsigned char addresses[2 * ADDRESS_SIZE] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1
};

static unsigned int
get16(const unsigned char *p)
{
	return ((unsigned int)p[0] << 8 | p[1]);
}

static const struct layout *
find(int dlt)
{
	const struct layout *l = layouts;

	while (l->dlt != -1 && l->dlt != dlt)
		l++;
	return (l);
}

int
pcap_tcp_link_is_known(int dlt)
{
	return (find(dlt)->dlt != -1);
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

/* PPP, or of DLT_PPP_SERIAL, what the first byte says. */
static size_t
serial(const struct layout *l, const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	if (l->dlt != DLT_PPP_SERIAL || (data[0] != CISCO_UNICAST &&
	    data[0] != CISCO_BROADCAST))
		return (pcap_tcp_link_ppp(data, length, ethertype));
	if (length < HDLC_SIZE) {
		*ethertype = 0;
		return (length);
	}
	*ethertype = hdlc(get16(data + 2));
	return (HDLC_SIZE);
}

/* Of a packet that has its header, and a byte. */
static inline unsigned int
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

/* Called, it would cost as much again. */
__attribute__((always_inline)) static inline size_t
network(const struct layout *l, const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	if (length < l->size || length == 0) {
		*ethertype = 0;
		return (length);
	}
	if (l->ethertype == PPP)
		return (serial(l, data, length, ethertype));
	*ethertype = ethertype_of(l, data, length);
	return (l->size);
}

size_t
pcap_tcp_link_network(int dlt, const unsigned char *data, size_t length,
    unsigned int *ethertype)
{
	const struct layout *l = layouts;

	while (l->dlt != dlt)
		l++;
	return (network(l, data, length, ethertype));
}

/* The header may be written over the bytes that an address is taken from. */
static void
put_cooked_addresses(unsigned char *header, const unsigned char *p,
    const struct layout *l)
{
	const unsigned int type = p[l->packet_type];
	unsigned char from[ADDRESS_SIZE];

	/* Its length stands in front of it. */
	memcpy(from, p[l->address - 1] == ADDRESS_SIZE ? p + l->address :
	    addresses + ADDRESS_SIZE, ADDRESS_SIZE);
	memcpy(header, addresses, ADDRESS_SIZE);
	memcpy(header + ADDRESS_SIZE, from, ADDRESS_SIZE);
	if (type == LINUX_SLL_BROADCAST)
		memset(header, 0xff, ADDRESS_SIZE);
	else if (type == LINUX_SLL_MULTICAST)
		header[0] |= 1;
}

/* Returns 0 if that is not possible. */
static inline int
make_ethernet(struct pcap_tcp_record *r, const struct layout *l)
{
	unsigned char *header;
	unsigned int ethertype;
	const size_t size = network(l, r->data, r->h.caplen, &ethertype);
	/* The lengths are a peer's: this one may be less than the other. */
	uint32_t length = r->h.len > size ? r->h.len - (uint32_t)size : 0;

	if (ethertype < MIN_ETHERTYPE) {
		if (l->ethertype != COOKED || length > MAX_LENGTH ||
		    (ethertype != LINUX_SLL_P_802_2 &&
		    ethertype != LINUX_SLL_P_802_3))
			return (0);
		ethertype = length;
	}
	header = r->data + size - PCAP_TCP_ETHERNET_SIZE;
	if (l->ethertype == COOKED)
		put_cooked_addresses(header, r->data, l);
	else
		memcpy(header, addresses, sizeof(addresses));
	header[12] = (unsigned char)(ethertype >> 8);
	header[13] = (unsigned char)ethertype;
	r->data = header;
	r->h.caplen += PCAP_TCP_ETHERNET_SIZE - (uint32_t)size;
	r->h.len = length > UINT32_MAX - PCAP_TCP_ETHERNET_SIZE ? UINT32_MAX :
	    length + PCAP_TCP_ETHERNET_SIZE;
	return (1);
}

size_t
pcap_tcp_ethernet_stage(void *ethernet, struct pcap_tcp_record *r, size_t n)
{
	struct pcap_tcp_ethernet *e = ethernet;
	const struct pcap_tcp_record *end = r + n;
	const struct layout *l = layouts;
	struct pcap_tcp_record *next = r;

	if (!*e->is_needed)
		return (n);
	for (; r != end; r++) {
		if (r->origin.dlt != l->dlt)
			l = find(r->origin.dlt);
		if (l->dlt != DLT_EN10MB && !make_ethernet(r, l))
			continue;
		if (next != r)
			*next = *r;
		next++;
	}
	e->left_out += (uint64_t)(end - next);
	return (n - (size_t)(end - next));
}
