/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * hash - says what the hash of an IPv4 flow costs, in nanoseconds: the least of
 * many rounds, of flows that are in the cache
 */

#include <stdio.h>

#include "clock.h"
#include "pcap-tcp-hash.h"

#define FLOWS	1024
#define TURNS	200
#define ROUNDS	50

int
main(void)
{
	static uint64_t ends[FLOWS + 1];
	int64_t began, took, least = INT64_MAX;
	uint64_t sum = 0;
	int i, turn, round;

	for (i = 0; i <= FLOWS; i++)
		ends[i] = pcap_tcp_mix((uint64_t)i + 1);
	for (round = 0; round < ROUNDS; round++) {
		began = nanoseconds();
		for (turn = 0; turn < TURNS; turn++) {
			for (i = 0; i < FLOWS; i++)
				sum += pcap_tcp_hash_both(
				    pcap_tcp_hash_word(ends[i]),
				    pcap_tcp_hash_word(ends[i + 1]));
			ends[turn % FLOWS] ^= sum;
		}
		took = nanoseconds() - began;
		if (took < least)
			least = took;
	}
	/* The sum is needed, or the compiler leaves the work out. */
	printf("%.2f %llu\n", (double)least / (FLOWS * TURNS),
	    (unsigned long long)sum);
	return (0);
}
