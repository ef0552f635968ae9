/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-fanout - which worker a packet is for
 */

#include "unit-fanout.h"
#include "pcap-tcp-hash.h"

#define MILLION	1000000

/*
 * Computed apart from this code, by worker() of tests/test_fanout.py: other
 * machines, and programs that do the same, must agree.
 */
static void
workers_are_known(void **state)
{
	static const struct {
		struct test_flow f;
		unsigned int of2, of256;
	} cases[] = {
		{ { 0, 6, { { 192, 0, 2, 1 }, { 198, 51, 100, 2 } },
		    { 1024, 443 } }, 1, 98 },
		{ { 0, 17, { { 198, 51, 100, 2 }, { 192, 0, 2, 1 } },
		    { 53, 40000 } }, 1, 46 },
		{ { 0, 1, { { 192, 0, 2, 1 }, { 255, 255, 255, 255 } },
		    { 0, 0 } }, 1, 62 },
		{ { 0, 6, { { 192, 0, 2, 7 }, { 192, 0, 2, 7 } },
		    { 9, 8 } }, 2, 253 },
		{ { 1, 6, { { 0x20, 1, 0xd, 0xb8, [15] = 1 },
		    { 0x20, 1, 0xd, 0xb8, [15] = 2 } }, { 1024, 443 } },
		    1, 125 },
		{ { 1, 58, { { 0xfe, 0x80, [15] = 2 },
		    { 0xfe, 0x80, [15] = 1 } }, { 0, 0 } }, 2, 192 },
		{ { 1, 132, { { 0x20, 1, 0xd, 0xb8, [15] = 1 },
		    { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, { 65535, 1 } },
		    2, 136 },
	};
	struct packet p;
	size_t i;
	int from;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (from = 0; from < 2; from++) {
			build(&p, &cases[i].f, from, 0);
			assert_int_equal(worker(&p, 2), cases[i].of2);
			assert_int_equal(worker(&p, 256), cases[i].of256);
			assert_int_equal(worker(&p, 1), 1);
		}
	}
}

/* The values are those of Python's hash(bytes) with PYTHONHASHSEED=0. */
static void
several_words_are_hashed_by_siphash(void **state)
{
	static const uint64_t words[] = { 1, 2, 3 }, zero = 0;

	(void)state;
	assert_true(pcap_tcp_hash(&zero, 1) == 0xbd60acb658c79e45U);
	assert_true(pcap_tcp_hash(words, 3) == 0x8acb65135d8f2da1U);
}

/* Whatever is around it. */
static void
both_directions_are_at_one_worker(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, k, expected;

	(void)state;
	for (i = 0; i < MILLION / 4; i++) {
		f = any_flow();
		build(&p, &f, 0, 0);
		expected = worker(&p, 256);
		assert_in_range(expected, 1, 256);
		for (k = 0; k < 3; k++) {
			build(&p, &f, k % 2 == 0, k == 2 ? ATOMIC_FRAGMENT : 0);
			wrap(&p, 3);
			assert_int_equal(worker(&p, 256), expected);
		}
	}
}

static void
fragments_are_at_one_worker(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, k, expected;

	(void)state;
	for (i = 0; i < MILLION / 10; i++) {
		f = any_flow();
		build(&p, &f, 0, FIRST_FRAGMENT);
		expected = worker(&p, 256);
		for (k = 0; k < 3; k++) {
			build(&p, &f, (int)any(2), k == 0 ? FIRST_FRAGMENT :
			    LATER_FRAGMENT);
			wrap(&p, 2);
			assert_int_equal(worker(&p, 256), expected);
		}
		/* As all between the two of that protocol without ports. */
		f.port[0] = f.port[1] = 0;
		if (f.is_ipv6)
			f.protocol = 44;
		build(&p, &f, 1, f.is_ipv6 ? FIRST_FRAGMENT : 0);
		assert_int_equal(worker(&p, 256), expected);
	}
}

/* A datagram in a tunnel that is in fragments goes by the tunnel's ends. */
static void
fragments_of_a_tunnel_are_at_one_worker(void **state)
{
	struct test_flow inner, tunnel;
	struct packet p;
	unsigned int i, expected;

	(void)state;
	for (i = 0; i < MILLION / 100; i++) {
		tunnel = any_flow();
		tunnel.protocol = any(2) ? 41 : 47;
		build(&p, &tunnel, 0, LATER_FRAGMENT);
		expected = worker(&p, 256);
		inner = any_flow();
		inner.is_ipv6 = 1;
		build(&p, &inner, 0, 0);
		if (tunnel.protocol == 47)
			put16(put(&p, 4, 0) + 2, p.ethertype);
		put_ip(&p, &tunnel, 1, FIRST_FRAGMENT);
		assert_int_equal(worker(&p, 256), expected);
	}
}

/*
 * Random flows of IPv4 and IPv6, and such as networks have: one after the
 * other.  3 % of 1/64 are more than five standard deviations.
 */
static void
each_worker_has_its_share(void **state)
{
	static unsigned int count[65][65];
	struct test_flow f;
	struct packet p;
	unsigned int i, n, k, kind, step;

	(void)state;
	for (kind = 0; kind < 4; kind++) {
		memset(count, 0, sizeof(count));
		step = kind % 3 == 0 ? 1 : 31;
		for (i = 0; i < 2 * MILLION; i++) {
			do {
				f = any_flow();
			} while (!has_ports(&f));
			f.is_ipv6 = kind >= 2;
			if (kind % 3 != 0) {
				f.protocol = 6;
				memset(f.address, 0, sizeof(f.address));
				f.address[0][0] = f.address[1][0] = 10;
				put16(f.address[0] + (kind == 1 ? 2 : 14),
				    i % 1000);
				f.port[0] = 32768 + 2 * (i / 1000);
				f.port[1] = 443;
			}
			build(&p, &f, 0, 0);
			for (n = 2; n <= 64; n += step)
				count[n][worker(&p, n)]++;
		}
		for (n = 2; n <= 64; n += step) {
			for (k = 1; k <= n; k++)
				assert_in_range(count[n][k],
				    97 * (2 * MILLION / n) / 100,
				    103 * (2 * MILLION / n) / 100);
		}
	}
}

static void
flip(struct test_flow *f, unsigned int bit)
{
	unsigned int bits = f->is_ipv6 ? 128 : 32;

	if (bit < 2 * bits)
		f->address[bit / bits][bit % bits / 8] ^=
		    (unsigned char)(1 << bit % 8);
	else
		f->port[(bit - 2 * bits) / 16] ^= 1U << bit % 16;
}

/*
 * Whoever knows the worker of a flow does not know that of one that differs in
 * a bit or two: with two workers, half of them are at the same one.  Of 1,024
 * that is 512, give or take six standard deviations.
 */
static unsigned int
count_together(int is_ipv6, unsigned int a, unsigned int b)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, first, n = 0;

	for (i = 0; i < 1024; i++) {
		f = any_flow();
		f.is_ipv6 = is_ipv6;
		f.protocol = 6;
		build(&p, &f, 0, 0);
		first = worker(&p, 2);
		flip(&f, a);
		if (a != b)
			flip(&f, b);
		build(&p, &f, 0, 0);
		n += worker(&p, 2) == first;
	}
	return (n);
}

static void
no_flows_are_known_to_fall_together(void **state)
{
	unsigned int i, is_ipv6, bits;

	(void)state;
	for (is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		bits = 2 * (is_ipv6 ? 128 : 32) + 2 * 16;
		for (i = 0; i < bits; i++) {
			assert_in_range(count_together((int)is_ipv6, i, i),
			    512 - 96, 512 + 96);
			assert_in_range(count_together((int)is_ipv6, i,
			    any(bits)), 512 - 96, 512 + 96);
		}
	}
}

/* Of TCP between an end of 10.0.0.0/16, say, and another one. */
static unsigned int
worker_of_ends(unsigned int end, unsigned int other)
{
	struct test_flow f = { 0, 6, { { 10 }, { 192 } }, { 0, 443 } };
	struct packet p;

	put16(f.address[0] + 2, end >> 16);
	f.port[0] = end & 0xffff;
	put16(f.address[1] + 2, other);
	build(&p, &f, 0, 0);
	return (worker(&p, 4));
}

/*
 * Nor do two ends whose flows with some others are at the same workers have
 * that in common toward all others: a quarter is chance, and what has been
 * found out about one flow says nothing of the next.
 */
static void
no_ends_are_known_to_fall_together(void **state)
{
	unsigned int end, other, alike = 0, together = 0;

	(void)state;
	for (end = 1; end < MILLION / 4; end++) {
		for (other = 0; other < 5 && worker_of_ends(end, other) ==
		    worker_of_ends(0, other); other++)
			;
		if (other < 5)
			continue;
		alike++;
		for (; other < 5 + 16; other++)
			together += worker_of_ends(end, other) ==
			    worker_of_ends(0, other);
	}
	assert_in_range(alike, 150, 350);
	assert_in_range(together, 3 * alike, 5 * alike);
}

/* What fills a frame up behind the packet's own length. */
static void
padding_is_no_port(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, expected;
	size_t size;

	(void)state;
	for (i = 0; i < 1000; i++) {
		f = any_flow();
		f.protocol = 6;
		p.data = p.room + ROOM;
		(void)put(&p, 2, 1);
		put_ip(&p, &f, 0, 0);
		expected = worker(&p, 256);
		do {
			p.data = p.room + ROOM;
			(void)put(&p, 2, 1);
			put_ip(&p, &f, 1, 0);
			size = length(&p);
		} while (p.data[f.is_ipv6 ? 5 : 3] == 0);
		memmove(p.data - 20, p.data, size);
		p.data -= 20;
		assert_int_equal(worker(&p, 256), expected);
	}
}

/* No more is read than there is, and what is there decides. */
static void
packets_are_cut(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned char *copy;
	unsigned int i;
	size_t size;

	(void)state;
	for (i = 0; i < MILLION / 10; i++) {
		f = any_flow();
		build(&p, &f, 0, 0);
		wrap(&p, 3);
		size = any((uint32_t)length(&p));
		copy = malloc(size + (size == 0));
		assert_non_null(copy);
		memcpy(copy, p.data, size);
		assert_in_range(pcap_tcp_fanout_worker(copy, size,
		    p.ethertype, 7), 1, 7);
		free(copy);
	}
	assert_int_equal(pcap_tcp_fanout_worker(NULL, 0, 0x0800, 7), 1);
	assert_int_equal(pcap_tcp_fanout_worker(NULL, 0, 0x0806, 7), 1);
}

/* Of a stage for each of them, in whatever batches. */
static void
workers_together_have_each_packet_once(void **state)
{
	enum { BATCH = 128 };
	static struct packet p[BATCH];
	static struct pcap_tcp_record all[BATCH], own[BATCH];
	struct pcap_tcp_fanout fanout = { .dlt = DLT_EN10MB };
	unsigned int times[BATCH];
	struct test_flow f;
	size_t i, n, k, left;

	(void)state;
	for (n = 0; n < MILLION; n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			f = any_flow();
			build(&p[i], &f, 0, (int)any(4));
			wrap(&p[i], 3);
			if (p[i].ethertype != ETHERNET)
				put_ethernet(&p[i]);
			all[i].data = p[i].data;
			all[i].h.caplen = all[i].h.len =
			    (bpf_u_int32)length(&p[i]);
			times[i] = 0;
		}
		fanout.nworkers = 1 + any(8);
		fanout.others = 0;
		for (k = 1; k <= fanout.nworkers; k++) {
			fanout.worker = (unsigned int)k;
			memcpy(own, all, sizeof(all));
			left = pcap_tcp_fanout_stage(&fanout, own, BATCH);
			for (i = 0; i < left; i++) {
				assert_true(i == 0 ||
				    own[i].data > own[i - 1].data);
				times[((char *)own[i].data - (char *)p) /
				    (ptrdiff_t)sizeof(p[0])]++;
			}
		}
		for (i = 0; i < BATCH; i++)
			assert_int_equal(times[i], 1);
		assert_true(fanout.others == BATCH * (fanout.nworkers - 1));
	}
}

static unsigned int
worker_of_flow(const struct test_flow *f)
{
	struct packet p;

	build(&p, f, 0, 0);
	return (worker(&p, 256));
}

/* What an IP header begins with says whether it is one. */
static void
damaged_headers_have_no_flow(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, first;

	(void)state;
	for (i = 0; i < 100; i++) {
		f = any_flow();
		build(&p, &f, 0, 0);
		for (first = 0; first < 256; first++) {
			if (first >> 4 == (f.is_ipv6 ? 6 : 4) &&
			    (f.is_ipv6 || (first & 15) >= 5))
				continue;
			p.data[0] = (unsigned char)first;
			assert_int_equal(worker(&p, 256), 1);
		}
	}
}

/* What is behind an IPv4 header of its own, and which byte is damaged how. */
static const struct {
	unsigned int protocol;
	unsigned char header[32];
	size_t size, at;
	unsigned char value;
} damages[] = {
	/* IPv4 itself, its version and its length */
	{ 4, { 0 }, 0, 0, 0x55 },
	{ 4, { 0 }, 0, 0, 0x44 },
	/* VXLAN's flag and its reserved byte */
	{ 17, { 0x80, 0, 0x12, 0xb5, [8] = 8, [28] = 8 }, 30, 8, 0xf7 },
	{ 17, { 0x80, 0, 0x12, 0xb5, [8] = 8, [28] = 8 }, 30, 15, 1 },
	/* GENEVE's version */
	{ 17, { 0x80, 0, 0x17, 0xc1, [10] = 8 }, 16, 8, 0x40 },
	/* GTP-U's version, its type, and an extension's length */
	{ 17, { 0x80, 0, 8, 0x68, [8] = 0x30, 255 }, 16, 8, 0x50 },
	{ 17, { 0x80, 0, 8, 0x68, [8] = 0x30, 255 }, 16, 9, 1 },
	{ 17, { 0x80, 0, 8, 0x68, [8] = 0x34, 255, [19] = 0x85, 1 }, 24, 20,
	    0 },
	/* GRE with routing, and of a version that there is not */
	{ 47, { 0, 0, 8 }, 4, 0, 0x40 },
	{ 47, { 0, 0, 8 }, 4, 1, 2 },
};

/* They are not gone into; as they were before, they are. */
static void
damaged_tunnels_go_by_their_ends(void **state)
{
	struct test_flow inner, tunnel;
	unsigned int i, k, outside, inside;
	struct packet p;
	unsigned char *h;

	(void)state;
	for (i = 0; i < 100 * sizeof(damages) / sizeof(damages[0]); i++) {
		k = i % (sizeof(damages) / sizeof(damages[0]));
		inner = any_flow();
		tunnel = any_flow();
		inner.is_ipv6 = tunnel.is_ipv6 = 0;
		tunnel.protocol = damages[k].protocol;
		tunnel.port[0] = 0x8000;
		tunnel.port[1] = (unsigned int)damages[k].header[2] << 8 |
		    damages[k].header[3];
		/* The other way, its port is not the one that it is sent to. */
		build(&p, &tunnel, 1, has_ports(&tunnel) ? 0 : LATER_FRAGMENT);
		outside = worker(&p, 256);
		inside = worker_of_flow(&inner);
		build(&p, &inner, 0, 0);
		h = put(&p, damages[k].size, 0);
		memcpy(h, damages[k].header, damages[k].size);
		put_ip(&p, &tunnel, 0, 0);
		assert_int_equal(worker(&p, 256), inside);
		h[damages[k].at] = damages[k].value;
		assert_int_equal(worker(&p, 256), outside);
	}
}

/* Within options or ports, the addresses and the protocol are left. */
static void
cut_ipv4_goes_by_addresses(void **state)
{
	struct test_flow f;
	struct packet p;
	unsigned int i, with, without;
	size_t size, header;

	(void)state;
	for (i = 0; i < 1000; i++) {
		f = any_flow();
		f.is_ipv6 = 0;
		with = worker_of_flow(&f);
		build(&p, &f, 1, 0);
		header = (size_t)(p.data[0] & 15) * 4;
		f.port[0] = f.port[1] = 0;
		without = worker_of_flow(&f);
		for (size = 0; size <= length(&p); size++)
			assert_int_equal(pcap_tcp_fanout_worker(p.data, size,
			    0x0800, 256), size < 20 ? 1 :
			    size < header + 4 ? without : with);
	}
}

/*
 * TCP behind one extension header: the size of that, whose length counts as 1,
 * where it has one.
 */
static size_t
build_extension(struct packet *p, const struct test_flow *f, unsigned int kind)
{
	size_t size = kind == 44 ? 8 : kind == 51 ? 12 : 16;
	struct test_flow outer = *f;
	unsigned char *h;

	outer.protocol = kind;
	do {
		p->data = p->room + ROOM;
		h = put(p, 4, 0);
		put16(h, f->port[0]);
		put16(h + 2, f->port[1]);
		h = put(p, size, 0);
		h[0] = (unsigned char)f->protocol;
		h[1] = 1;
		put_ip(p, &outer, 0, 0);
	} while (length(p) != 40 + size + 4);
	return (size);
}

/* Within an extension header, its own protocol is left, or the next one. */
static void
cut_ipv6_goes_by_addresses(void **state)
{
	static const unsigned char kinds[] = { 44, 0, 43, 51, 60, 135 };
	struct test_flow f;
	struct packet p;
	unsigned int i, expected[4], ones = 0;
	size_t size, extension;

	(void)state;
	for (i = 0; i < 600; i++) {
		f = any_flow();
		f.is_ipv6 = 1;
		f.protocol = 6;
		expected[0] = 1;
		expected[3] = worker_of_flow(&f);
		extension = build_extension(&p, &f, kinds[i % 6]);
		expected[1] = pcap_tcp_fanout_worker(p.data, 40, 0x86dd, 256);
		ones += expected[1] == 1;
		f.port[0] = f.port[1] = 0;
		expected[2] = worker_of_flow(&f);
		for (size = 0; size <= length(&p); size++)
			assert_int_equal(pcap_tcp_fanout_worker(p.data, size,
			    0x86dd, 256), expected[(size >= 40) +
			    (size >= 48) + (size == 44 + extension)]);
		if (i % 6 != 0)
			continue;
		build(&p, &f, 1, FIRST_FRAGMENT);
		assert_int_equal(worker(&p, 256), expected[1]);
	}
	/* One in 256 by chance. */
	assert_in_range(ones, 0, 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_are_known),
		cmocka_unit_test(several_words_are_hashed_by_siphash),
		cmocka_unit_test(both_directions_are_at_one_worker),
		cmocka_unit_test(fragments_are_at_one_worker),
		cmocka_unit_test(fragments_of_a_tunnel_are_at_one_worker),
		cmocka_unit_test(each_worker_has_its_share),
		cmocka_unit_test(no_flows_are_known_to_fall_together),
		cmocka_unit_test(no_ends_are_known_to_fall_together),
		cmocka_unit_test(padding_is_no_port),
		cmocka_unit_test(packets_are_cut),
		cmocka_unit_test(damaged_headers_have_no_flow),
		cmocka_unit_test(damaged_tunnels_go_by_their_ends),
		cmocka_unit_test(cut_ipv4_goes_by_addresses),
		cmocka_unit_test(cut_ipv6_goes_by_addresses),
		cmocka_unit_test(workers_together_have_each_packet_once),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
