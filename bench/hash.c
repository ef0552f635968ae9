/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * hash - says what the hash of a flow costs, in nanoseconds, of IPv4 and of
 * IPv6: the least of many rounds, of flows that are in the cache
 */

#include <stdio.h>

#include "clock.h"
#include "pcap-tcp-hash.h"

#define FLOWS	1024
#define TURNS	100
#define ROUNDS	50

static uint64_t words[FLOWS + 6];

static uint64_t
ipv4(const uint64_t *w)
{
	return (pcap_tcp_hash_both(pcap_tcp_hash_word(w[0]),
	    pcap_tcp_hash_word(w[1])));
}

static uint64_t
ipv6(const uint64_t *w)
{
	return (pcap_tcp_hash_both(pcap_tcp_hash(w, 3),
	    pcap_tcp_hash(w + 3, 3)));
}

static void
print_cost(uint64_t (*hash)(const uint64_t *))
{
	int64_t began, took, least = INT64_MAX;
	uint64_t sum;
	int i, turn, round;

	for (round = 0; round < ROUNDS; round++) {
		began = nanoseconds();
		for (turn = 0; turn < TURNS; turn++) {
			sum = 0;
			for (i = 0; i < FLOWS; i++)
				sum += (*hash)(words + i);
			/* Nobody may leave out what is used. */
			words[turn] = sum;
		}
		took = nanoseconds() - began;
		if (took < least)
			least = took;
	}
	printf("%.2f\n", (double)least / (FLOWS * TURNS));
}

int
main(void)
{
	int i;

	for (i = 0; i < FLOWS + 6; i++)
		words[i] = pcap_tcp_mix((uint64_t)i + 1);
	print_cost(ipv4);
	print_cost(ipv6);
	return (0);
}
