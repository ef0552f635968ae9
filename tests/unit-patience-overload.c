/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-patience-overload - the order of several sources that send more than the
 * reader can take, and what is left when they no longer do
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit-merging.h"

#define SLOW	15000		/* ns a record, of a reader */

static struct world w;
static struct source *const s = w.source;

/* PCAP_TCP_LONG has more of them. */
static unsigned int
seeds(unsigned int n)
{
	return (getenv("PCAP_TCP_LONG") != NULL ? 4 * n : n);
}

/* So many sources that send as much as they can, or nearly. */
static void
flood(unsigned int k, unsigned int n, int64_t cost)
{
	unsigned int i;

	sow(k);
	set_up(&w, n);
	w.cost = cost;
	for (i = 0; i < n; i++)
		s[i].gap = 20;
}

static int64_t
longest_wait(unsigned int n)
{
	int64_t longest = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (s[i].longest_wait > longest)
			longest = s[i].longest_wait;
	}
	return (longest);
}

static void
assert_shares_alike(void)
{
	uint64_t least = UINT64_MAX, most = 0;
	unsigned int i;

	for (i = 0; i < w.n; i++) {
		if (s[i].delivered < least)
			least = s[i].delivered;
		if (s[i].delivered > most)
			most = s[i].delivered;
	}
	assert_in_range(most, least, least + least / 4);
}

/*
 * A round of reads of 64 takes the reader 0.2 s, and what it reads may have been
 * in the socket for another one.
 */
static void
overload_starves_nobody(void **state)
{
	unsigned int n, clocks, i, k;

	(void)state;
	for (n = 8; n <= 64; n *= 2) {
		for (clocks = 2; clocks <= 8; clocks *= 2) {
			for (k = 0; k < seeds(2); k++) {
				flood(k, n, SLOW);
				for (i = 0; i < n; i++)
					s[i].ahead = i % clocks * HOUR;
				w.quiet_until = SECOND;
				simulate(&w, 6 * SECOND);
				assert_in_range(longest_wait(n), 0, 4 * HOLD);
				assert_shares_alike();
			}
		}
	}
}

/* What comes now and then is not passed by all that are ahead of it. */
static void
a_right_slow_one_beside_a_flood(void **state)
{
	unsigned int n, i, k;
	int64_t cost;

	(void)state;
	for (n = 4; n <= 64; n *= 2) {
		for (cost = 2000; cost <= 2 * SLOW; cost += 7000) {
			for (k = 0; k < seeds(2); k++) {
				flood(k, n, cost);
				for (i = 0; i < n; i++)
					s[i].ahead = i < 2 ? 0 : HOUR;
				s[0].gap = s[1].gap = 50 * MS;
				simulate(&w, 4 * SECOND);
				assert_in_range(longest_wait(2), 0, 4 * HOLD);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overload_starves_nobody),
		cmocka_unit_test(a_right_slow_one_beside_a_flood),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
