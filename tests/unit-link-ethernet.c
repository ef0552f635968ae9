/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-link-ethernet - packets that become Ethernet
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-link.h"

#define DST	"\2\0\0\0\0\2"
#define SRC	"\2\0\0\0\0\1"
#define GROUP	"\3\0\0\0\0\2"
#define ALL	"\377\377\377\377\377\377"
#define OTHER	"\0\1\2\3\4\5"
#define NETWORK	"n\0twork"	/* 8 bytes; a PPPoE session's second is 0 */

#define CASE(dlt, before, first, after) \
	{ dlt, before, sizeof(before) - 1, first, after }

static int is_needed;
static struct pcap_tcp_ethernet ethernet;

static int
convert(struct pcap_tcp_record *r)
{
	return (pcap_tcp_ethernet_stage(&ethernet, r, 1) == 1);
}

static int
set_up(void **state)
{
	(void)state;
	is_needed = 1;
	ethernet = (struct pcap_tcp_ethernet){ .is_needed = &is_needed };
	return (0);
}

/* A packet in memory that ends with it, and begins 14 bytes in front of it. */
static struct pcap_tcp_record
new_record(int dlt, const void *data, size_t length)
{
	struct pcap_tcp_record r = { .origin = { (uint16_t)dlt, 0 } };

	r.data = malloc(PCAP_TCP_ETHERNET_SIZE + length);
	assert_non_null(r.data);
	r.data += PCAP_TCP_ETHERNET_SIZE;
	memcpy(r.data, data, length);
	r.h.caplen = (bpf_u_int32)length;
	r.h.len = (bpf_u_int32)length;
	return (r);
}

/*
 * The header in front of the network layer, whose first byte is what IP
 * begins with, and what it becomes.
 */
static const struct {
	int dlt;
	const char *header;
	size_t size;
	unsigned char first;
	const char *becomes;
} cases[] = {
	CASE(DLT_RAW, "", 0x45, DST SRC "\x08\0"),
	CASE(DLT_RAW, "", 0x60, DST SRC "\x86\xdd"),
	CASE(14, "", 0x45, DST SRC "\x08\0"),
	CASE(DLT_IPV4, "", 0x45, DST SRC "\x08\0"),
	CASE(DLT_IPV6, "", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_NULL, "\2\0\0\0", 0x45, DST SRC "\x08\0"),
	CASE(DLT_NULL, "\0\0\0\2", 0x45, DST SRC "\x08\0"),
	CASE(DLT_LOOP, "\2\0\0\0", 0x45, DST SRC "\x08\0"),
	CASE(DLT_LOOP, "\0\0\0\x18", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_NULL, "\x0a\0\0\0", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_NULL, "\x18\0\0\0", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_NULL, "\x1c\0\0\0", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_NULL, "\x1e\0\0\0", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_PPP, "\xff\3\0\x21", 0x45, DST SRC "\x08\0"),
	CASE(DLT_PPP, "\xff\3\x57", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_PPP, "\0\x21", 0x45, DST SRC "\x08\0"),
	CASE(DLT_PPP, "\x21", 0x45, DST SRC "\x08\0"),
	CASE(DLT_PPP_SERIAL, "\xff\3\0\x57", 0x60, DST SRC "\x86\xdd"),
	CASE(DLT_PPP_SERIAL, "\x0f\0\x08\0", 0x45, DST SRC "\x08\0"),
	CASE(DLT_PPP_ETHER, "", 0x11, DST SRC "\x88\x64"),
	CASE(DLT_C_HDLC, "\x0f\0\x86\xdd", 0x60, DST SRC "\x86\xdd"),
	/* For us, for all, for some, for another, by us, with ARP. */
	CASE(DLT_LINUX_SLL, "\0\0\0\1\0\6" OTHER "\0\0\x08\0", 0x45,
	    DST OTHER "\x08\0"),
	CASE(DLT_LINUX_SLL, "\0\1\0\1\0\6" OTHER "\0\0\x08\6", 0,
	    ALL OTHER "\x08\6"),
	CASE(DLT_LINUX_SLL, "\0\2\0\1\0\6" OTHER "\0\0\x08\0", 0x45,
	    GROUP OTHER "\x08\0"),
	CASE(DLT_LINUX_SLL, "\0\3\0\1\0\6" OTHER "\0\0\x08\0", 0x45,
	    DST OTHER "\x08\0"),
	CASE(DLT_LINUX_SLL, "\0\4\0\1\0\6" OTHER "\0\0\x08\0", 0x45,
	    DST OTHER "\x08\0"),
	/* There is no such address: none, one of IPv4, one of 8 bytes. */
	CASE(DLT_LINUX_SLL, "\0\0\2\0\0\0" OTHER "\0\0\x08\0", 0x45,
	    DST SRC "\x08\0"),
	CASE(DLT_LINUX_SLL, "\0\0\3\x0a\0\4" OTHER "\0\0\x08\0", 0x45,
	    DST SRC "\x08\0"),
	CASE(DLT_LINUX_SLL, "\0\0\0\x18\0\x8" OTHER "\6\7\x86\xdd", 0x60,
	    DST SRC "\x86\xdd"),
	CASE(DLT_LINUX_SLL2, "\x08\0\0\0\0\0\0\3\0\1\0\6" OTHER "\0\0", 0x45,
	    DST OTHER "\x08\0"),
	CASE(DLT_LINUX_SLL2, "\x08\6\0\0\0\0\0\3\0\1\1\6" OTHER "\0\0", 0,
	    ALL OTHER "\x08\6"),
	CASE(DLT_LINUX_SLL2, "\x86\xdd\0\0\0\0\0\3\0\1\2\6" OTHER "\0\0", 0x60,
	    GROUP OTHER "\x86\xdd"),
	CASE(DLT_LINUX_SLL2, "\x86\xdd\0\0\0\0\0\3\xff\xfe\4\0" OTHER "\0\0",
	    0x60, DST SRC "\x86\xdd"),
	/* A VLAN's tag is a network layer, too. */
	CASE(DLT_LINUX_SLL, "\0\0\0\1\0\6" OTHER "\0\0\x81\0", 0,
	    DST OTHER "\x81\0"),
	/* 802.2 has a length, of 8 bytes here; so has Novell's. */
	CASE(DLT_LINUX_SLL, "\0\2\0\1\0\6" OTHER "\0\0\0\4", 0x42,
	    GROUP OTHER "\0\x8"),
	CASE(DLT_LINUX_SLL2, "\0\4\0\0\0\0\0\3\0\1\2\6" OTHER "\0\0", 0x42,
	    GROUP OTHER "\0\x8"),
	CASE(DLT_LINUX_SLL, "\0\1\0\1\0\6" OTHER "\0\0\0\1", 0xFF,
	    ALL OTHER "\0\x8"),
};

static void
each_becomes_ethernet(void **state)
{
	unsigned char data[32];
	struct pcap_tcp_record r;
	unsigned char *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(data, cases[i].header, cases[i].size);
		memcpy(data + cases[i].size, NETWORK, 8);
		data[cases[i].size] = cases[i].first;
		r = new_record(cases[i].dlt, data, cases[i].size + 8);
		p = r.data - PCAP_TCP_ETHERNET_SIZE;
		r.h.len += cases[i].becomes[12] != 0 ? 100 : 0;
		assert_true(convert(&r));
		assert_int_equal(r.h.caplen, 22);
		assert_int_equal(r.h.len, 22 + 100 *
		    (cases[i].becomes[12] != 0));
		assert_memory_equal(r.data, cases[i].becomes, 14);
		assert_memory_equal(r.data + 14, data + cases[i].size, 8);
		assert_ptr_equal(r.data, p + cases[i].size);
		free(p);
	}
	assert_int_equal(ethernet.left_out, 0);
}

/* Cut within its header, there is nothing to deliver; behind it, there is. */
static void
some_are_cut(void **state)
{
	struct pcap_tcp_record r;
	unsigned char data[32];
	uint64_t left_out = 0;
	unsigned char *p;
	size_t i, length;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(data, cases[i].header, cases[i].size);
		data[cases[i].size] = cases[i].first;
		for (length = 0; length <= cases[i].size + 1; length++) {
			r = new_record(cases[i].dlt, data, length);
			r.h.len = (bpf_u_int32)cases[i].size + 8;
			p = r.data - PCAP_TCP_ETHERNET_SIZE;
			if (convert(&r)) {
				assert_true(length >= cases[i].size);
				assert_int_equal(r.h.caplen,
				    14 + length - cases[i].size);
				assert_int_equal(r.h.len, 22);
				assert_memory_equal(r.data, cases[i].becomes,
				    14);
			} else {
				assert_true(length <= cases[i].size);
				left_out++;
			}
			free(p);
		}
	}
	assert_int_equal(ethernet.left_out, left_out);
}

static void
some_cannot_become_it(void **state)
{
	static const struct {
		int dlt;
		unsigned char data[20];
	} none[] = {
		{ DLT_RAW, { 0x50 } },
		{ DLT_NULL, { 7 } },
		{ DLT_LOOP, { 0, 0, 0, 23 } },
		{ DLT_C_HDLC, { 0x8f, 0, 0x80, 0x35 } },	/* SLARP */
		{ DLT_C_HDLC, { 0x8f, 0, 0, 4 } },
		{ DLT_C_HDLC, { 0x8f, 0, 5, 255 } },
		{ DLT_LINUX_SLL, { [14] = 5, 255 } },
		/* Netlink's routes, and its family 4; Frame Relay, 802.11. */
		{ DLT_LINUX_SLL, { 0, 4, 3, 56 } },
		{ DLT_LINUX_SLL, { 0, 4, 3, 56, [15] = 4 } },
		{ DLT_LINUX_SLL2, { 0, 4, [8] = 3, 56, 4 } },
		{ DLT_LINUX_SLL2, { 8, 0, [8] = 3, 2 } },
		{ DLT_LINUX_SLL2, { 0, 4, [8] = 3, 33 } },
		{ DLT_LINUX_SLL2, { 0, 4, [8] = 3, 34 } },
		{ DLT_LINUX_SLL2, { 0, 4, [8] = 3, 35 } },
		/* CAN */
		{ DLT_LINUX_SLL, { 0, 0, 1, 24, [15] = 12 } },
	};
	struct pcap_tcp_record r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		r = new_record(none[i].dlt, none[i].data, 20);
		assert_false(convert(&r));
		free(r.data - PCAP_TCP_ETHERNET_SIZE);
	}
	assert_int_equal(ethernet.left_out, i);
}

/* A length that is a peer's claim. */
static void
lengths_are_kept_in_bounds(void **state)
{
	static const struct {
		int dlt;
		bpf_u_int32 len, becomes;
	} claims[] = {
		{ DLT_RAW, UINT32_MAX, UINT32_MAX },
		{ DLT_RAW, UINT32_MAX - 14, UINT32_MAX },
		{ DLT_RAW, UINT32_MAX - 15, UINT32_MAX - 1 },
		{ DLT_RAW, 0, 14 },
		{ DLT_NULL, 3, 14 },
		{ DLT_NULL, 5, 15 },
		{ DLT_NULL, UINT32_MAX, UINT32_MAX },
		{ DLT_LINUX_SLL2, UINT32_MAX, UINT32_MAX - 6 },
		{ DLT_LINUX_SLL2, 19, 14 },
	};
	static const unsigned char raw[24] = { 0x45 }, null[24] = { 2 },
	    sll2[24] = { 8 };
	struct pcap_tcp_record r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		r = new_record(claims[i].dlt, claims[i].dlt == DLT_RAW ? raw :
		    claims[i].dlt == DLT_NULL ? null : sll2, 24);
		r.h.len = claims[i].len;
		assert_true(convert(&r));
		assert_int_equal(r.h.len, claims[i].becomes);
		free(r.data - (claims[i].dlt == DLT_LINUX_SLL2 ? 20 :
		    claims[i].dlt == DLT_NULL ? 4 : 0));
	}
}

/* A frame of 802.3 has no more than 1500 bytes. */
static void
a_length_is_no_ethertype(void **state)
{
	static const unsigned char data[20] = { 0, 4, [9] = 1 };
	struct pcap_tcp_record r = new_record(DLT_LINUX_SLL2, data, 20);

	(void)state;
	r.h.len = 1520;
	assert_true(convert(&r));
	assert_memory_equal(r.data + 12, "\x05\xdc", 2);
	free(r.data - 20);
	r = new_record(DLT_LINUX_SLL2, data, 20);
	r.h.len = 1521;
	assert_false(convert(&r));
	free(r.data - PCAP_TCP_ETHERNET_SIZE);
}

/* Of a batch, in order; Ethernet stays as it is. */
static void
a_batch_keeps_its_order(void **state)
{
	static const unsigned char raw[20] = { 0x45 };
	struct pcap_tcp_record r[64];
	unsigned char *p[64];
	size_t i;

	(void)state;
	for (i = 0; i < 64; i++) {
		r[i] = new_record(i % 3 == 0 ? DLT_EN10MB : i % 3 == 1 ?
		    DLT_RAW : DLT_NULL, raw, 20);
		p[i] = r[i].data - PCAP_TCP_ETHERNET_SIZE;
		r[i].h.ts.tv_usec = (suseconds_t)i;
	}
	is_needed = 0;
	assert_int_equal(pcap_tcp_ethernet_stage(&ethernet, r, 64), 64);
	assert_ptr_equal(r[1].data, p[1] + PCAP_TCP_ETHERNET_SIZE);
	is_needed = 1;
	assert_int_equal(pcap_tcp_ethernet_stage(&ethernet, r, 64), 43);
	assert_int_equal(ethernet.left_out, 21);
	for (i = 0; i < 43; i++) {
		assert_int_equal(r[i].h.ts.tv_usec, i / 2 * 3 + i % 2);
		assert_int_equal(r[i].h.caplen, i % 2 == 0 ? 20 : 34);
	}
	for (i = 0; i < 64; i++)
		free(p[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_becomes_ethernet, set_up),
		cmocka_unit_test_setup(some_are_cut, set_up),
		cmocka_unit_test_setup(some_cannot_become_it, set_up),
		cmocka_unit_test_setup(lengths_are_kept_in_bounds, set_up),
		cmocka_unit_test_setup(a_length_is_no_ethertype, set_up),
		cmocka_unit_test_setup(a_batch_keeps_its_order, set_up),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
