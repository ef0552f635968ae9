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
	return (getenv("PCAP_TCP_LONG") != NULL ? 8 * n : n);
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
 * A round of reads of 64 takes the reader 0.2 s, and what it reads may have
 * been in the socket for another one.
 */
static void
overload_starves_nobody(void **state)
{
	unsigned int n, clocks, i, k;

	(void)state;
	for (n = 8; n <= 64; n *= 2) {
		for (clocks = 2; clocks <= 8; clocks *= 2) {
			for (k = 0; k < seeds(1); k++) {
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

/*
 * What the manual says of a program that needs longer than the hold for a round
 * of reads: its packets wait for that round, or for two if clocks differ.
 */
static void
a_slow_reader_has_the_hold_of_its_rounds(void **state)
{
	unsigned int n, clocks, i;
	int64_t rounds;

	(void)state;
	for (n = 4; n <= 64; n *= 2) {
		for (clocks = 1; clocks <= 8 && clocks <= n; clocks *= 2) {
			flood(clocks, n, 100000);
			for (i = 0; i < n; i++)
				s[i].ahead = i % clocks * HOUR;
			w.quiet_until = SECOND;
			simulate(&w, 12 * SECOND);
			rounds = (clocks > 1 ? 2 : 1) * n *
			    (int64_t)s[0].most * w.cost / 1000;
			assert_in_range(longest_wait(n), 0, rounds + HOLD);
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
			for (k = 0; k < seeds(1); k++) {
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

/*
 * After a stall, while others join and leave, those whose clocks are right are
 * in order again a hold after what was late has come.
 */
static void
order_is_back_within_a_hold(void **state)
{
	unsigned int k, disturbed = 0;

	(void)state;
	for (k = 0; k < seeds(300); k++) {
		flood(k, 3 + (unsigned int)any(6), 1000);
		w.quiet_until = 2 * HOLD;
		set_right_clocks(&w);
		s[1].stall = SECOND;
		s[1].stall_end = SECOND + any(SECOND);
		if (k % 3 > 0)
			s[0].ahead = any(2) ? HOUR : -HOUR;
		if (k % 3 == 1)
			s[0].until = 1500 * MS;
		else if (k % 3 == 2)
			s[0].from = SECOND;
		simulate(&w, 3 * SECOND);
		assert_in_range(w.last_late, 0,
		    s[1].stall_end + HOLD + 2 * MS);
		disturbed += w.late > 0;
	}
	assert_true(disturbed > k / 4);
}

/*
 * Who joins within 16 holds of another one, but not within the first, is not
 * waited for until a hold after its first record: it may be anybody.
 */
static void
a_second_newcomer(void **state)
{
	int64_t after;

	(void)state;
	for (after = 0; after <= 18 * HOLD; after += 3 * HOLD) {
		flood(3, 4, 0);
		s[0].gap = s[1].gap = s[2].gap = s[3].gap = 5 * MS;
		s[2].from = 5 * SECOND;
		s[2].latency = 5 * MS;
		s[3].from = 5 * SECOND + after;
		s[3].latency = 30 * MS;
		w.quiet_until = 5 * SECOND - MS;
		simulate(&w, 9 * SECOND);
		if (after == 0 || after > 17 * HOLD)
			assert_int_equal(w.late, 0);
		else
			assert_in_range(w.last_late, s[3].from,
			    s[3].from + 2 * HOLD);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overload_starves_nobody),
		cmocka_unit_test(a_slow_reader_has_the_hold_of_its_rounds),
		cmocka_unit_test(a_right_slow_one_beside_a_flood),
		cmocka_unit_test(order_is_back_within_a_hold),
		cmocka_unit_test(a_second_newcomer),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
