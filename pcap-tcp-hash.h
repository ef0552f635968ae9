/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-hash.h - a hash that is the same on every machine
 *
 * No secret goes into it, as workers on several machines must agree, so that
 * anybody can try which flow falls to which worker: N times for one of N.  What
 * it has to prevent is cheaper than that: flows that are known to fall together
 * without trying, such as all whose addresses have the same exclusive or.  So
 * each word goes into two states, by a multiplication whose halves are added
 * without carry (as in wyhash and foldhash), whose factor is never 0, and by a
 * polynomial modulo 2^64.  What a word changes in one of them another word can
 * undo, but not in both.
 */
#ifndef pcap_tcp_hash_h
#define pcap_tcp_hash_h

#include <stddef.h>
#include <stdint.h>

/* The product's upper half, exclusive or its lower half. */
static inline uint64_t
pcap_tcp_fold(uint64_t x, uint64_t y)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 product = (unsigned __int128)x * y;

	return ((uint64_t)(product >> 64) ^ (uint64_t)product);
#else
	uint64_t x0 = (uint32_t)x, x1 = x >> 32;
	uint64_t y0 = (uint32_t)y, y1 = y >> 32;
	uint64_t low = x0 * y0, a = x0 * y1, b = x1 * y0;
	uint64_t middle = (low >> 32) + (uint32_t)a + (uint32_t)b;

	return ((x1 * y1 + (a >> 32) + (b >> 32) + (middle >> 32)) ^
	    (middle << 32 | (uint32_t)low));
#endif
}

/* The constants: the golden ratio, the plastic number, and digits of pi. */
static inline uint64_t
pcap_tcp_mix(uint64_t x)
{
	return (pcap_tcp_fold(x, 0x9e3779b97f4a7c15U));
}

static inline uint64_t
pcap_tcp_hash(const uint64_t *word, size_t n)
{
	uint64_t h = 0x243f6a8885a308d3U, g = 0x13198a2e03707344U;
	size_t i;

	for (i = 0; i < n; i++) {
		h = pcap_tcp_mix(h ^ word[i]);
		g = (g + word[i]) * 0xd1b54a32d192ed03U;
	}
	return (pcap_tcp_mix(h ^ (g << 32 | g >> 32)));
}

/*
 * Of two ends of n words each, the same whichever comes first: of a sum.  Mixed
 * once only, ends whose hashes are about the same would fall together toward
 * all others.
 */
static inline uint64_t
pcap_tcp_hash_both(const uint64_t *a, const uint64_t *b, size_t n)
{
	return (pcap_tcp_mix(pcap_tcp_mix(pcap_tcp_hash(a, n) +
	    pcap_tcp_hash(b, n))));
}

#endif
