/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-hash.h - hashes that are the same on every machine
 *
 * No secret goes into them, as workers on several machines must agree, so that
 * anybody can try which flow falls to which worker: N times for one of N.  What
 * they have to prevent is cheaper than that: flows that are known to fall
 * together without trying, such as all whose addresses have the same exclusive
 * or.  See docs/decisions/fan-out-hash.md.
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

/*
 * Of one word, which goes into two states: one by a multiplication whose factor
 * is never 0, and one modulo 2^64.
 */
static inline uint64_t
pcap_tcp_hash_word(uint64_t word)
{
	uint64_t h = pcap_tcp_mix(0x243f6a8885a308d3U ^ word);
	uint64_t g = (0x13198a2e03707344U + word) * 0xd1b54a32d192ed03U;

	return (pcap_tcp_mix(h ^ (g << 32 | g >> 32)));
}

static inline uint64_t
pcap_tcp_rotate(uint64_t x, int bits)
{
	return (x << bits | x >> (64 - bits));
}

static inline void
pcap_tcp_sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = pcap_tcp_rotate(v[1], 13) ^ v[0];
	v[0] = pcap_tcp_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = pcap_tcp_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = pcap_tcp_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = pcap_tcp_rotate(v[1], 17) ^ v[2];
	v[2] = pcap_tcp_rotate(v[2], 32);
}

/*
 * Of several words: SipHash-1-3 (Aumasson and Bernstein, 2012) of their bytes,
 * the lowest first, with the key 0.
 */
static inline uint64_t
pcap_tcp_hash(const uint64_t *word, size_t n)
{
	uint64_t v[4] = { 0x736f6d6570736575U, 0x646f72616e646f6dU,
	    0x6c7967656e657261U, 0x7465646279746573U };
	uint64_t next;
	size_t i;

	for (i = 0; i <= n; i++) {
		next = i < n ? word[i] : (uint64_t)n * sizeof(*word) << 56;
		v[3] ^= next;
		pcap_tcp_sip_round(v);
		v[0] ^= next;
	}
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		pcap_tcp_sip_round(v);
	return (v[0] ^ v[1] ^ v[2] ^ v[3]);
}

/*
 * Of two ends' hashes, the same whichever comes first: of a sum.  Mixed once
 * only, ends whose hashes are about the same would fall together toward all
 * others.
 */
static inline uint64_t
pcap_tcp_hash_both(uint64_t a, uint64_t b)
{
	return (pcap_tcp_mix(pcap_tcp_mix(a + b)));
}

#endif
