/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-link - where the network layer begins
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pcap/pcap.h>

#include "pcap-tcp-link.h"

static void
layouts_are_known(void **state)
{
	static const struct {
		int dlt;
		unsigned char data[20];
		size_t size;		/* of the header */
		unsigned int ethertype;
	} cases[] = {
		{ DLT_EN10MB, { [12] = 0x08, 0x06 }, 14, 0x0806 },
		{ DLT_LINUX_SLL, { [14] = 0x86, 0xdd }, 16, 0x86dd },
		{ DLT_LINUX_SLL2, { 0x81, 0x00 }, 20, 0x8100 },
		{ DLT_C_HDLC, { 0x0f, 0, 0x08, 0x00 }, 4, 0x0800 },
		{ DLT_NULL, { 2 }, 4, 0x0800 },
		{ DLT_NULL, { 0, 0, 0, 2 }, 4, 0x0800 },
		{ DLT_NULL, { 30 }, 4, 0x86dd },
		{ DLT_NULL, { 0, 0, 0, 28 }, 4, 0x86dd },
		{ DLT_NULL, { 24 }, 4, 0x86dd },
		{ DLT_NULL, { 10 }, 4, 0x86dd },
		{ DLT_NULL, { 7 }, 4, 0 },
		{ DLT_NULL, { 2, 0, 0, 1 }, 4, 0 },
		{ DLT_NULL, { 0, 2 }, 4, 0 },
		{ DLT_NULL, { 0 }, 4, 0 },
		{ DLT_LINUX_SLL, { [2] = 3, 56, [14] = 8 }, 16, 0 },
		{ DLT_LINUX_SLL2, { 8, 0, [8] = 3, 56 }, 20, 0 },
		{ DLT_LINUX_SLL2, { 8, 0, [8] = 3, 35 }, 20, 0 },
		{ DLT_LINUX_SLL2, { 0, 4, [8] = 0, 1 }, 20, 4 },
		{ DLT_C_HDLC, { 0x8f, 0, 0x80, 0x35 }, 4, 0 },
		{ DLT_PPP_SERIAL, { 0x0f, 0, 0x86, 0xdd }, 4, 0x86dd },
		{ DLT_PPP_SERIAL, { 0x8f, 0, 0x08, 0x00 }, 4, 0x0800 },
		{ DLT_LOOP, { 0, 0, 0, 24 }, 4, 0x86dd },
	};
	unsigned int ethertype;
	size_t i, length;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(pcap_tcp_link_is_known(cases[i].dlt));
		assert_int_equal(pcap_tcp_link_network(cases[i].dlt,
		    cases[i].data, 20, &ethertype), cases[i].size);
		assert_int_equal(ethertype, cases[i].ethertype);
		for (length = 0; length < cases[i].size; length++) {
			unsigned char *cut = malloc(length + (length == 0));

			assert_non_null(cut);
			memcpy(cut, cases[i].data, length);
			assert_int_equal(pcap_tcp_link_network(cases[i].dlt,
			    cut, length,
			    &ethertype), length);
			assert_int_equal(ethertype, 0);
			free(cut);
		}
	}
	assert_false(pcap_tcp_link_is_known(DLT_USB_LINUX));
	assert_false(pcap_tcp_link_is_known(-1));
}

/* Without a header of their own. */
static void
some_begin_with_it(void **state)
{
	static const struct {
		int dlt;
		unsigned char first[2];
		unsigned int ethertype;
	} cases[] = {
		{ DLT_RAW, { 0x45 }, 0x0800 },
		{ DLT_RAW, { 0x60 }, 0x86dd },
		{ 14, { 0x60 }, 0x86dd },
		{ DLT_RAW, { 0x50 }, 0 },
		{ DLT_IPV4, { 0x45 }, 0x0800 },
		{ DLT_IPV6, { 0x60 }, 0x86dd },
		{ DLT_PPP_ETHER, { 0x11 }, 0x8864 },
		{ DLT_PPP_ETHER, { 0x11, 9 }, 0x8863 },
	};
	unsigned int ethertype;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(pcap_tcp_link_is_known(cases[i].dlt));
		assert_int_equal(pcap_tcp_link_network(cases[i].dlt,
		    cases[i].first, 2, &ethertype), 0);
		assert_int_equal(ethertype, cases[i].ethertype);
		assert_int_equal(pcap_tcp_link_network(cases[i].dlt, NULL, 0,
		    &ethertype), 0);
	}
}

/* With HDLC's header or not, and with the protocol's first byte or not. */
static void
ppp_has_several_headers(void **state)
{
	static const struct {
		unsigned char data[5];
		size_t length, size;
		unsigned int ethertype;
	} cases[] = {
		{ { 0xff, 3, 0, 0x21, 0x45 }, 5, 4, 0x0800 },
		{ { 0xff, 3, 0x21, 0x45 }, 4, 3, 0x0800 },
		{ { 0, 0x57, 0x60 }, 3, 2, 0x86dd },
		{ { 0x57, 0x60 }, 2, 1, 0x86dd },
		{ { 0xff, 3, 2, 0x81 }, 4, 4, 0x8847 },
		{ { 2, 0x83 }, 2, 2, 0x8848 },
		{ { 0xff, 3, 0xc0, 0x21 }, 4, 0, 0x880b },
		{ { 0xff, 3, 0 }, 3, 3, 0 },
		{ { 0xff, 3 }, 2, 2, 0 },
		{ { 0xff }, 1, 1, 0 },
	};
	static const int dlts[] = { DLT_PPP, DLT_PPP_SERIAL };
	unsigned int ethertype;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (j = 0; j < 2; j++) {
			assert_int_equal(pcap_tcp_link_network(dlts[j],
			    cases[i].data, cases[i].length, &ethertype),
			    cases[i].size);
			assert_int_equal(ethertype, cases[i].ethertype);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_are_known),
		cmocka_unit_test(some_begin_with_it),
		cmocka_unit_test(ppp_has_several_headers),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
