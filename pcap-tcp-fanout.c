/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-fanout.c - the flow of a packet, and the worker of a flow
 *
 * Nothing here trusts a length: a header that is cut or damaged ends the walk,
 * and what was found up to there decides.
 */

#include <string.h>

#include "ethertype.h"
#include "pcap-tcp-fanout.h"
#include "pcap-tcp-hash.h"
#include "pcap-tcp-link.h"

#define MAX_HEADERS	16	/* Suricata's decoder.max-layers, too */

/* The other EtherTypes are libpcap's (ethertype.h). */
#define ETHERTYPE_ERSPAN	0x88be

/* Assigned Internet Protocol Numbers (IANA). */
enum {
	HOP_BY_HOP = 0, IP_IN_IP = 4, TCP = 6, UDP = 17, DCCP = 33,
	IPV6_IN_IP = 41, ROUTING = 43, FRAGMENT = 44, GRE = 47, AH = 51,
	DESTINATION = 60, SCTP = 132, MOBILITY = 135, UDP_LITE = 136
};

/* What is next, if it is nothing that has an EtherType. */
enum { NOTHING = 0, NEXT_GRE = 0x10000, NEXT_VXLAN, NEXT_GENEVE, NEXT_GTP_U };

#define PORT_GTP_U	2152
#define PORT_VXLAN	4789
#define PORT_GENEVE	6081

/* What is left of a packet. */
struct cursor {
	const unsigned char *p;
	size_t left;
};

struct flow {
	const unsigned char *addresses;	/* source, destination; NULL: none */
	int is_ipv6;
	unsigned int protocol;
	uint64_t source, destination;	/* ports, 0 if there are none */
};

static inline unsigned int
get16(const unsigned char *p)
{
	return ((unsigned int)p[0] << 8 | p[1]);
}

static inline uint32_t
get32(const unsigned char *p)
{
	return ((uint32_t)get16(p) << 16 | get16(p + 2));
}

static inline uint64_t
get64(const unsigned char *p)
{
	return ((uint64_t)get32(p) << 32 | get32(p + 4));
}

/* Returns 0 if there are no n bytes. */
static inline int
skip(struct cursor *c, size_t n)
{
	if (n > c->left)
		return (0);
	c->p += n;
	c->left -= n;
	return (1);
}

/* Skips a header of n bytes, behind which EtherType or NOTHING is. */
static inline unsigned int
after(struct cursor *c, size_t n, unsigned int ethertype)
{
	return (skip(c, n) ? ethertype : NOTHING);
}

/* Skips a header of n bytes, the last two of which are an EtherType. */
static unsigned int
after_ethertype(struct cursor *c, size_t n)
{
	return (skip(c, n) ? get16(c->p - 2) : NOTHING);
}

/* Without a length, by the version that IP begins with. */
static unsigned int
ip_version(const struct cursor *c)
{
	if (c->left == 0)
		return (NOTHING);
	return (c->p[0] >> 4 == 4 ? ETHERTYPE_IP :
	    c->p[0] >> 4 == 6 ? ETHERTYPE_IPV6 : NOTHING);
}

/* RFC 3032; a pseudowire's control word begins with 0 (RFC 4385). */
static unsigned int
walk_mpls(struct cursor *c)
{
	int is_last;

	do {
		if (!skip(c, 4))
			return (NOTHING);
		is_last = c->p[-2] & 1;
	} while (!is_last);
	if (c->left > 0 && c->p[0] >> 4 == 0)
		return (after(c, 4, ETHERTYPE_TEB));
	return (ip_version(c));
}

static unsigned int
walk_ppp(struct cursor *c)
{
	unsigned int ethertype;
	size_t size = pcap_tcp_link_ppp(c->p, c->left, &ethertype);

	return (after(c, size, ethertype == ETHERTYPE_PPP ? NOTHING :
	    ethertype));
}

/*
 * RFC 2784, RFC 2890, RFC 2637: checksum, key, sequence and acknowledgment
 * number may be there.  ERSPAN has a header of its own if there is a sequence
 * number (draft-foschiano-erspan, 4).
 */
static unsigned int
walk_gre(struct cursor *c)
{
	unsigned int flags, ethertype;
	size_t size = 4;

	if (c->left < 4)
		return (NOTHING);
	flags = get16(c->p);
	ethertype = get16(c->p + 2);
	if ((flags & 0x4000) != 0 || (flags & 7) > 1)
		return (NOTHING);
	size += (flags & 0x8000) != 0 ? 4 : 0;
	size += (flags & 0x2000) != 0 ? 4 : 0;
	size += (flags & 0x1000) != 0 ? 4 : 0;
	size += (flags & 0x0081) == 0x0081 ? 4 : 0;
	if (ethertype == ETHERTYPE_ERSPAN) {
		size += (flags & 0x1000) != 0 ? 8 : 0;
		ethertype = ETHERTYPE_TEB;
	}
	return (after(c, size, ethertype));
}

/* 3GPP TS 29.281, 5: a user's packet, perhaps behind extension headers. */
static unsigned int
walk_gtp_u(struct cursor *c)
{
	unsigned int flags, more;

	if (!skip(c, 8) || c->left < 8 || c->p[0] >> 4 != 3 || c->p[1] != 255)
		return (NOTHING);
	flags = c->p[0];
	(void)skip(c, 8);
	if ((flags & 7) != 0) {
		if (!skip(c, 4))
			return (NOTHING);
		more = (flags & 4) != 0 ? c->p[-1] : 0;
		while (more != 0) {
			if (c->left == 0 || c->p[0] == 0 ||
			    !skip(c, (size_t)c->p[0] * 4))
				return (NOTHING);
			more = c->p[-1];
		}
	}
	return (ip_version(c));
}

/* RFC 7348, behind UDP's header */
static unsigned int
walk_vxlan(struct cursor *c)
{
	if (!skip(c, 8) || c->left < 8 || (c->p[0] & 8) == 0 || c->p[7] != 0)
		return (NOTHING);
	return (after(c, 8, ETHERTYPE_TEB));
}

/* RFC 8926, behind UDP's header */
static unsigned int
walk_geneve(struct cursor *c)
{
	if (!skip(c, 8) || c->left < 8 || c->p[0] >> 6 != 0)
		return (NOTHING);
	return (after(c, 8 + (size_t)(c->p[0] & 63) * 4, get16(c->p + 2)));
}

/* The tunnels of UDP are known by the port that they are sent to. */
static inline unsigned int
walk_ports(const struct cursor *c, struct flow *f)
{
	unsigned int port;

	if (c->left < 4)
		return (NOTHING);
	port = get16(c->p + 2);
	f->source = get16(c->p);
	f->destination = port;
	if (((f->protocol == UDP) & ((port == PORT_VXLAN) |
	    (port == PORT_GENEVE) | (port == PORT_GTP_U))) != 0)
		return (port == PORT_VXLAN ? NEXT_VXLAN :
		    port == PORT_GENEVE ? NEXT_GENEVE : NEXT_GTP_U);
	return (NOTHING);
}

/*
 * What stands behind an IP header and its extensions.  TCP and UDP without a
 * branch for each, which could not be guessed.
 */
static inline unsigned int
walk_transport(const struct cursor *c, struct flow *f)
{
	if (f->protocol < 32 && (1U << f->protocol & (1U << TCP | 1U << UDP)))
		return (walk_ports(c, f));
	switch (f->protocol) {

	case SCTP:
	case DCCP:
	case UDP_LITE:
		return (walk_ports(c, f));

	case IP_IN_IP:
		return (ETHERTYPE_IP);

	case IPV6_IN_IP:
		return (ETHERTYPE_IPV6);

	case GRE:
		return (NEXT_GRE);

	default:
		return (NOTHING);
	}
}

static void
set_flow(struct flow *f, const unsigned char *addresses, int is_ipv6,
    unsigned int protocol)
{
	f->addresses = addresses;
	f->is_ipv6 = is_ipv6;
	f->protocol = protocol;
	f->source = f->destination = 0;
}

/*
 * What is behind the packet's own length is padding.  0 stands for a length
 * that a network card fills in, and for a jumbogram's.
 */
static inline void
cut_padding(struct cursor *c, size_t length)
{
	if (length != 0 && length < c->left)
		c->left = length;
}

/* RFC 791 */
static inline unsigned int
walk_ipv4(struct cursor *c, struct flow *f)
{
	const unsigned char *header = c->p;

	if (c->left < 20 || header[0] >> 4 != 4 || (header[0] & 15) < 5)
		return (NOTHING);
	set_flow(f, header + 12, 0, header[9]);
	if ((get16(header + 6) & 0x3fff) != 0)	/* a fragment */
		return (NOTHING);
	cut_padding(c, get16(header + 2));
	if (!skip(c, (size_t)(header[0] & 15) * 4))
		return (NOTHING);
	return (walk_transport(c, f));
}

/*
 * RFC 8200, 4.  A fragment's protocol is 44: its header names another one, but
 * only the first fragment's counts, and a hostile sender's differ.  One that is
 * the first and the last is the whole datagram (RFC 6946).
 */
static unsigned int
walk_ipv6(struct cursor *c, struct flow *f)
{
	unsigned int i, next;
	size_t size;

	if (c->left < 40 || c->p[0] >> 4 != 6)
		return (NOTHING);
	set_flow(f, c->p + 8, 1, c->p[6]);
	size = get16(c->p + 4);
	(void)skip(c, 40);
	cut_padding(c, size);
	for (i = 0; i < MAX_HEADERS; i++) {
		next = f->protocol;
		if (next != HOP_BY_HOP && next != ROUTING && next != AH &&
		    next != DESTINATION && next != MOBILITY && next != FRAGMENT)
			return (walk_transport(c, f));
		if (c->left < 8 ||
		    (next == FRAGMENT && (get16(c->p + 2) & 0xfff9) != 0))
			return (NOTHING);
		f->protocol = c->p[0];
		size = next == FRAGMENT ? 8 :
		    next == AH ? ((size_t)c->p[1] + 2) * 4 :
		    ((size_t)c->p[1] + 1) * 8;
		if (!skip(c, size))
			return (NOTHING);
	}
	return (NOTHING);
}

/* One header; returns what is behind it. */
static unsigned int
walk(struct cursor *c, unsigned int next, struct flow *f)
{
	switch (next) {

	case ETHERTYPE_IP:
		return (walk_ipv4(c, f));

	case ETHERTYPE_IPV6:
		return (walk_ipv6(c, f));

	case ETHERTYPE_8021Q:
	case ETHERTYPE_8021AD:
	case ETHERTYPE_8021QINQ:
		return (after_ethertype(c, 4));

	case ETHERTYPE_TEB:
		return (after_ethertype(c, 14));

	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTI:
		return (walk_mpls(c));

	case ETHERTYPE_PPPOES:
		return (after(c, 6, ETHERTYPE_PPP));

	case ETHERTYPE_PPP:
		return (walk_ppp(c));

	case NEXT_GRE:
		return (walk_gre(c));

	case NEXT_VXLAN:
		return (walk_vxlan(c));

	case NEXT_GENEVE:
		return (walk_geneve(c));

	case NEXT_GTP_U:
		return (walk_gtp_u(c));

	default:
		return (NOTHING);
	}
}

/* Called, it would need the flow in memory. */
__attribute__((always_inline)) static inline uint64_t
hash_ipv4(const struct flow *f)
{
	uint64_t a = (uint64_t)get32(f->addresses) << 32 | f->source << 16 |
	    f->protocol;
	uint64_t b = (uint64_t)get32(f->addresses + 4) << 32 |
	    f->destination << 16 | f->protocol;

	return (pcap_tcp_hash_both(pcap_tcp_hash_word(a),
	    pcap_tcp_hash_word(b)));
}

static uint64_t
hash_ipv6(const struct flow *f)
{
	uint64_t a[3] = { get64(f->addresses), get64(f->addresses + 8),
	    f->source << 16 | f->protocol };
	uint64_t b[3] = { get64(f->addresses + 16), get64(f->addresses + 24),
	    f->destination << 16 | f->protocol };

	return (pcap_tcp_hash_both(pcap_tcp_hash(a, 3), pcap_tcp_hash(b, 3)));
}

static inline unsigned int
worker_of(uint64_t hash, unsigned int n)
{
	return (1 + (unsigned int)((hash >> 32) * n >> 32));
}

/* Inlined, it would take the caller's registers. */
__attribute__((noinline)) static unsigned int
worker_by_all_headers(const unsigned char *data, size_t length,
    unsigned int next, unsigned int n)
{
	struct cursor c = { data, length };
	struct flow f = { 0 };
	int i;

	for (i = 0; i < MAX_HEADERS && next != NOTHING; i++)
		next = walk(&c, next, &f);
	if (f.addresses == NULL)
		return (1);
	return (worker_of(f.is_ipv6 ? hash_ipv6(&f) : hash_ipv4(&f), n));
}

/* Most is IPv4 without a tunnel: by itself it needs registers only. */
unsigned int
pcap_tcp_fanout_worker(const unsigned char *data, size_t length,
    unsigned int ethertype, unsigned int n)
{
	struct cursor c = { data, length };
	struct flow f = { 0 };

	if (ethertype == ETHERTYPE_IP && walk_ipv4(&c, &f) == NOTHING &&
	    f.addresses != NULL)
		return (worker_of(hash_ipv4(&f), n));
	return (worker_by_all_headers(data, length, ethertype, n));
}

size_t
pcap_tcp_fanout_stage(void *fanout, struct pcap_tcp_record *r, size_t n)
{
	struct pcap_tcp_fanout *f = fanout;
	const struct pcap_tcp_record *end = r + n;
	struct pcap_tcp_record *next = r;
	unsigned int ethertype;
	size_t size, left;

	for (; r != end; r++) {
		size = pcap_tcp_link_network(f->dlt, r->data, r->h.caplen,
		    &ethertype);
		if (pcap_tcp_fanout_worker(r->data + size,
		    r->h.caplen - size, ethertype, f->nworkers) == f->worker)
			*next++ = *r;
	}
	left = n - (size_t)(end - next);
	f->others += n - left;
	return (left);
}
