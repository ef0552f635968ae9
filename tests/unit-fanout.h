/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-fanout.h - packets of flows, in whatever may be around them
 *
 * They are built from the inside out, as the walk goes from the outside in.
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-fanout.h"

#define ROOM		2048
#define ETHERNET	0x6558

/* An atomic one is the whole datagram, of IPv6 (RFC 6946). */
enum { FIRST_FRAGMENT = 1, LATER_FRAGMENT, ATOMIC_FRAGMENT };

struct test_flow {
	int is_ipv6;
	unsigned int protocol;
	unsigned char address[2][16];
	unsigned int port[2];
};

struct packet {
	unsigned char room[ROOM];
	unsigned char *data;		/* up to the end of room */
	unsigned int ethertype;
};

static uint64_t seed = 1;

/* splitmix64: the same on every machine. */
static uint32_t
any(uint32_t n)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return ((uint32_t)((z >> 32) * n >> 32));
}

static void
put16(unsigned char *p, size_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static size_t
length(const struct packet *p)
{
	return ((size_t)(p->room + ROOM - p->data));
}

/* n bytes in front, zeros or anything. */
static unsigned char *
put(struct packet *p, size_t n, int is_any)
{
	size_t i;

	assert_true(n <= (size_t)(p->data - p->room));
	p->data -= n;
	for (i = 0; i < n; i++)
		p->data[i] = (unsigned char)(is_any ? any(256) : 0);
	return (p->data);
}

static int
is_ip(const struct packet *p)
{
	return (p->ethertype == 0x0800 || p->ethertype == 0x86dd);
}

static struct test_flow
any_flow(void)
{
	static const unsigned char protocols[] = { 6, 17, 132, 33, 136, 1, 58,
	    50, 2, 89 };
	struct test_flow f;
	int i, k;

	f.is_ipv6 = any(2) == 0;
	f.protocol = protocols[any(sizeof(protocols))];
	for (i = 0; i < 2; i++) {
		f.port[i] = any(65536);
		for (k = 0; k < 16; k++)
			f.address[i][k] = (unsigned char)any(256);
		/* Not to a tunnel. */
		if (f.protocol == 17 && (f.port[i] == 2152 ||
		    f.port[i] == 4789 || f.port[i] == 6081))
			f.port[i]++;
	}
	return (f);
}

static int
has_ports(const struct test_flow *f)
{
	return (f->protocol == 6 || f->protocol == 17 || f->protocol == 132 ||
	    f->protocol == 33 || f->protocol == 136);
}

static void
put_ipv4(struct packet *p, const struct test_flow *f, int from, int fragment)
{
	size_t options = any(4) == 0 ? any(11) * 4 : 0;
	size_t behind = length(p);
	unsigned char *h;

	(void)put(p, options, 1);
	h = put(p, 20, 1);
	h[0] = (unsigned char)(0x45 + options / 4);
	put16(h + 2, any(20) == 0 ? 0 : 20 + options + behind);
	put16(h + 6, (any(2) << 14) |
	    (fragment == FIRST_FRAGMENT ? 0x2000 :
	    fragment == LATER_FRAGMENT ? any(2) << 13 | (1 + any(8191)) : 0));
	h[9] = (unsigned char)f->protocol;
	memcpy(h + 12, f->address[from], 4);
	memcpy(h + 16, f->address[!from], 4);
	p->ethertype = 0x0800;
}

static void
put_ipv6(struct packet *p, const struct test_flow *f, int from, int fragment)
{
	static const unsigned char kinds[] = { 0, 43, 60, 51, 135 };
	unsigned int next = f->protocol;
	unsigned char *h;
	int i;

	if (fragment) {
		h = put(p, 8, 1);
		h[0] = (unsigned char)(fragment == LATER_FRAGMENT ? any(256) :
		    next);
		put16(h + 2, any(4) << 1 | (fragment == FIRST_FRAGMENT ? 1 :
		    fragment == LATER_FRAGMENT ?
		    (1 + any(8191)) << 3 | any(2) : 0));
		next = 44;
	}
	for (i = any(2) == 0 ? (int)any(4) : 0; i > 0; i--) {
		unsigned char kind = kinds[any(sizeof(kinds))];
		unsigned int units = any(4);

		h = put(p, kind == 51 ? (units + 2) * 4 : (units + 1) * 8, 1);
		h[0] = (unsigned char)next;
		h[1] = (unsigned char)units;
		next = kind;
	}
	i = (int)length(p);
	h = put(p, 40, 1);
	h[0] = 0x60;
	put16(h + 4, any(20) == 0 ? 0 : (size_t)i);
	h[6] = (unsigned char)next;
	memcpy(h + 8, f->address[from], 16);
	memcpy(h + 24, f->address[!from], 16);
	p->ethertype = 0x86dd;
}

static void
put_ip(struct packet *p, const struct test_flow *f, int from, int fragment)
{
	if (f->is_ipv6)
		put_ipv6(p, f, from, fragment);
	else
		put_ipv4(p, f, from, fragment);
}

/* A packet of the flow, from one end to the other, without anything around. */
static void
build(struct packet *p, const struct test_flow *f, int from, int fragment)
{
	unsigned char *h;

	p->data = p->room + ROOM;
	/* Padding, which no length counts, is put on by those who need it. */
	h = put(p, 8 + any(16), 1);
	if (has_ports(f) && fragment != LATER_FRAGMENT) {
		put16(h, f->port[from]);
		put16(h + 2, f->port[!from]);
	}
	put_ip(p, f, from, fragment);
}

static void
put_ethernet(struct packet *p)
{
	if (p->ethertype == ETHERNET)
		return;
	put16(put(p, 14, 1) + 12, p->ethertype);
	p->ethertype = ETHERNET;
}

/* Within IP, from anywhere to anywhere. */
static void
put_outer(struct packet *p, unsigned int protocol)
{
	struct test_flow outer = any_flow();

	outer.protocol = protocol;
	put_ip(p, &outer, 0, any(4) == 0 ? ATOMIC_FRAGMENT : 0);
}

static void
put_udp(struct packet *p, unsigned int port)
{
	unsigned char *h = put(p, 8, 1);

	put16(h + 2, port);
	put_outer(p, 17);
}

static void
put_tag(struct packet *p)
{
	static const unsigned int tags[] = { 0x8100, 0x88a8, 0x9100 };

	if (p->ethertype == ETHERNET)
		return;
	put16(put(p, 4, 1) + 2, p->ethertype);
	p->ethertype = tags[any(3)];
}

/* IP's protocol, of one byte or two. */
static void
put_ppp(struct packet *p)
{
	*put(p, 1, 0) = p->ethertype == 0x0800 ? 0x21 : 0x57;
	if (any(2))
		(void)put(p, 1, 0);
}

static void
put_pppoe(struct packet *p)
{
	if (!is_ip(p))
		return;
	put_ppp(p);
	(void)put(p, 6, 1);
	p->ethertype = 0x8864;
}

static void
put_mpls(struct packet *p)
{
	unsigned int labels = any(3);

	if (!is_ip(p)) {
		put_ethernet(p);
		(void)put(p, 4, 0);	/* control word */
	}
	put(p, 4, 1)[2] |= 1;
	while (labels-- > 0)
		put(p, 4, 1)[2] &= 0xfe;
	p->ethertype = any(2) ? 0x8847 : 0x8848;
}

static void
put_ip_in_ip(struct packet *p)
{
	if (is_ip(p))
		put_outer(p, p->ethertype == 0x0800 ? 4 : 41);
}

static void
put_gre(struct packet *p)
{
	unsigned int flags = any(8), ethertype, i;
	unsigned char *h;

	if (any(3) == 0)
		put_ethernet(p);
	ethertype = p->ethertype;
	if (ethertype == ETHERNET && any(2)) {
		ethertype = 0x88be;
		if (flags & 1)
			(void)put(p, 8, 1);
	}
	for (i = flags; i != 0; i &= i - 1)
		(void)put(p, 4, 1);
	h = put(p, 4, 0);
	h[0] = (unsigned char)((flags & 4) << 5 | (flags & 3) << 4);
	h[1] = (unsigned char)(any(2) << 7);	/* reserved */
	put16(h + 2, ethertype);
	put_outer(p, 47);
}

/* RFC 2637: GRE of version 1, with a key and perhaps the other two numbers. */
static void
put_pptp(struct packet *p)
{
	unsigned int sequence = any(2), acknowledgment = any(2);
	unsigned char *h;

	if (!is_ip(p))
		return;
	put_ppp(p);
	if (any(2))
		put16(put(p, 2, 0), 0xff03);
	(void)put(p, (sequence + acknowledgment) * 4, 1);
	h = put(p, 8, 1);
	h[0] = (unsigned char)(0x20 | sequence << 4);
	h[1] = (unsigned char)(acknowledgment << 7 | 1);
	put16(h + 2, 0x880b);
	put_outer(p, 47);
}

static void
put_vxlan(struct packet *p)
{
	unsigned char *h;

	put_ethernet(p);
	h = put(p, 8, 1);
	h[0] |= 8;
	h[7] = 0;
	put_udp(p, 4789);
}

static void
put_geneve(struct packet *p)
{
	unsigned int options = any(64);
	unsigned char *h;

	if (!is_ip(p) || any(2))
		put_ethernet(p);
	(void)put(p, (size_t)options * 4, 1);
	h = put(p, 8, 1);
	h[0] = (unsigned char)options;
	put16(h + 2, p->ethertype);
	put_udp(p, 6081);
}

static void
put_gtp_u(struct packet *p)
{
	unsigned int flags = any(8), more = flags & 4 ? any(3) : 0, next = 0;
	unsigned char *h;

	if (!is_ip(p))
		return;
	for (; more > 0; more--) {
		unsigned int units = 1 + any(3);

		h = put(p, (size_t)units * 4, 1);
		h[0] = (unsigned char)units;
		h[units * 4 - 1] = (unsigned char)next;
		next = 1 + any(255);
	}
	if (flags != 0)
		put(p, 4, 1)[3] = (unsigned char)next;
	h = put(p, 8, 1);
	h[0] = (unsigned char)(0x30 | flags);
	h[1] = 255;
	put_udp(p, 2152);
}

/* Up to so many layers around a packet. */
static void
wrap(struct packet *p, unsigned int most)
{
	static void (*const layers[])(struct packet *) = { put_tag, put_pppoe,
	    put_mpls, put_ip_in_ip, put_gre, put_pptp, put_vxlan, put_geneve,
	    put_gtp_u };
	unsigned int n = any(most + 1);

	for (; n > 0; n--)
		layers[any(sizeof(layers) / sizeof(layers[0]))](p);
}

static unsigned int
worker(const struct packet *p, unsigned int n)
{
	return (pcap_tcp_fanout_worker(p->data, length(p), p->ethertype, n));
}
