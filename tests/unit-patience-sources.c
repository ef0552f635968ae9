/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-patience-sources - the order of several sources, with their clocks and a
 * reader in simulated time
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit-merging.h"

#define SLOW	15000		/* ns a record, of a reader */
#define SEEDS	3000

static struct world w;
static struct source *const s = w.source;

/* So many sources, each with this gap. */
static void
sources(unsigned int n, int64_t gap)
{
	unsigned int i;

	sow(n);
	set_up(&w, n);
	for (i = 0; i < n; i++)
		s[i].gap = gap;
}

static int64_t
longest_wait(void)
{
	int64_t longest = 0;
	unsigned int i;

	for (i = 0; i < w.n; i++) {
		if (s[i].longest_wait > longest)
			longest = s[i].longest_wait;
	}
	return (longest);
}

/* All of it, none later than that after it was made, in us. */
static void
assert_in_time(unsigned int i, int64_t lag)
{
	uint64_t full = s[i].most + 1;

	assert_in_range(s[i].longest_lag, 0, lag);
	assert_in_range(s[i].delivered + full, s[i].made, s[i].made + full);
	assert_true(s[i].delivered > 200);
}

static void
assert_in_order(void)
{
	assert_int_equal(w.wrongly, 0);
	assert_int_equal(w.late, 0);
}

/*
 * What the issue has in its table.
 */

static void
three_and_one_is_an_hour_ahead(void **state)
{
	int64_t gap;
	unsigned int i;

	(void)state;
	for (gap = 50 * MS; gap >= MS; gap /= 7) {
		sources(3, gap);
		s[2].ahead = HOUR;
		simulate(&w, 20 * SECOND);
		for (i = 0; i < 3; i++)
			assert_in_time(i, HOLD + MS);
		assert_in_order();
	}
}

/*
 * Its clock may be as it likes: it is not slowed down, or, where its stamps are
 * random, by a hold.
 */
static void
a_fast_one_whose_clock_is_wrong(void **state)
{
	unsigned int clock, halves, i;

	(void)state;
	for (clock = LIVE; clock <= EXTREME; clock++) {
		for (halves = 1; halves < 5; halves++) {
			sources(5, 40 * MS);
			s[4].gap = 50;
			s[4].most = 51;
			s[4].ahead = HOUR;
			s[4].clock = clock;
			s[4].halves = (int)halves;
			w.quiet_until = 2 * HOLD;
			simulate(&w, 10 * SECOND);
			for (i = 0; i < 4; i++)
				assert_in_time(i, HOLD + HOLD / 2);
			assert_in_time(4, clock == RANDOM ? 2 * HOLD :
			    HOLD + HOLD / 2);
			assert_in_order();
		}
	}
}

/* By TLS, a read brings what was one record to TLS, and may leave others. */
static void
a_fast_one_by_small_reads(void **state)
{
	int veiled;

	(void)state;
	for (veiled = 0; veiled < 2; veiled++) {
		sources(5, 40 * MS);
		s[4].gap = 200;
		s[4].most = 20;
		s[4].veiled = veiled;
		s[4].ahead = HOUR;
		w.quiet_until = 2 * HOLD;
		simulate(&w, 10 * SECOND);
		assert_in_time(4, HOLD + HOLD / 2);
		assert_in_order();
	}
}

static void
two_hundred_milliseconds_ahead(void **state)
{
	(void)state;
	sources(5, 40 * MS);
	s[4].gap = 5 * MS;
	s[4].ahead = 200 * MS;
	simulate(&w, 20 * SECOND);
	assert_in_time(4, HOLD + MS);
	assert_true(s[4].lags / (int64_t)s[4].delivered < 60 * MS);
	assert_in_order();
}

static void
a_hiccup_is_forgiven(void **state)
{
	(void)state;
	sources(2, 50);
	w.cost = SLOW;
	s[0].stall = 5 * SECOND;
	s[0].stall_end = 6 * SECOND;
	simulate(&w, 20 * SECOND);
	/* It has caught up before 6.7. */
	assert_true(w.late > 0);
	assert_in_range(w.last_late, 6 * SECOND, 6700 * MS);
	assert_in_time(1, HOLD + HOLD / 2);
}

/* The other one must not run away: it is ahead, and no clock explains that. */
static void
a_replay_that_stalled_catches_up(void **state)
{
	(void)state;
	sources(2, 0);
	s[0].step = s[1].step = SECOND;
	w.cost = SLOW;
	s[0].stall = 2 * SECOND;
	s[0].stall_end = 3 * SECOND;
	simulate(&w, 8 * SECOND);
	assert_in_range(w.last_late, 3 * SECOND, 6 * SECOND);
	assert_in_range(s[0].delivered, s[1].delivered - 1,
	    s[1].delivered + 1);
}

/* Replays that end one after the other, and stay there. */
static void
the_rest_of_replays_is_in_order(void **state)
{
	unsigned int i, k;

	(void)state;
	for (k = 1; k < 20; k++) {
		sources(64, 0);
		sow(k);
		w.cost = 2000;
		for (i = 0; i < 64; i++) {
			s[i].step = 640 * MS;
			s[i].ahead = i * 10 * MS;
			s[i].count = 400 + (uint64_t)any(800);
		}
		simulate(&w, 4 * SECOND);
		assert_in_order();
	}
}

static void
a_stopped_reader_has_all_in_order(void **state)
{
	int replay;

	(void)state;
	for (replay = 0; replay < 2; replay++) {
		sources(2, replay ? 0 : 50);
		s[0].step = s[1].step = replay ? SECOND : 0;
		w.cost = SLOW;
		w.pause = 5 * SECOND;
		w.pause_end = 6 * SECOND;
		simulate(&w, 20 * SECOND);
		assert_in_order();
		if (replay)
			assert_in_range(s[0].delivered, s[1].delivered - 1,
			    s[1].delivered + 1);
	}
}

/* Stamps that stand still, creep, or run at half the speed. */
static void
beside_one_at_full_speed(void **state)
{
	int way;

	(void)state;
	for (way = 0; way < 4; way++) {
		sources(3, way == 3 ? 70 : 500);
		w.cost = SLOW;
		w.quiet_until = SECOND;
		s[2].gap = 0;
		s[2].clock = way % 3 == 0 ? STILL : LIVE;
		s[2].step = way == 1;
		s[2].ahead = way == 1 ? 1700000000 * SECOND : 0;
		s[2].halves = way == 2 ? 1 : 2;
		simulate(&w, 10 * SECOND);
		assert_in_time(0, HOLD + HOLD / 2);
		assert_in_time(1, HOLD + HOLD / 2);
		assert_in_order();
	}
}

/*
 * More than the reader can take: each a third, or less where stamps are random.
 */
static void
fair_shares(void **state)
{
	unsigned int clock, i;

	(void)state;
	for (clock = LIVE; clock <= EXTREME; clock++) {
		sources(3, 20);
		w.cost = SLOW;
		s[2].clock = clock;
		s[2].ahead = HOUR;
		simulate(&w, 10 * SECOND);
		for (i = 0; i < 3; i++)
			assert_in_range(s[i].delivered,
			    clock == RANDOM && i == 2 ? 60000 : 100000,
			    350000);
		/* Those two share alike, and are in order. */
		assert_in_range(s[0].delivered, s[1].delivered * 9 / 10,
		    s[1].delivered * 11 / 10);
		assert_int_equal(w.wrongly, 0);
	}
}

static void
sixty_four_at_full_speed(void **state)
{
	unsigned int i;
	int slow;

	(void)state;
	for (slow = 0; slow < 2; slow++) {
		sources(64, 0);
		w.cost = slow ? SLOW : 1000;
		for (i = 0; i < 64; i++) {
			s[i].step = 64;
			s[i].ahead = i;
		}
		simulate(&w, SECOND);
		assert_in_order();
		for (i = 1; i < 64; i++)
			assert_in_range(s[i].delivered, s[0].delivered - 1,
			    s[0].delivered);
	}
}

/*
 * Who is silent costs the others little.
 */

static void
waiting_is_cheap(void **state)
{
	(void)state;
	/* One that never sends. */
	sources(2, MS);
	s[1].until = 1;
	simulate(&w, 20 * SECOND);
	assert_in_range(w.held, 0, 2 * HOLD);
	/* Slow ones: the hold now and then, all together. */
	sources(64, SECOND);
	s[0].gap = 50;
	simulate(&w, 20 * SECOND);
	assert_in_range(w.held, 0, 10 * HOLD);
	assert_in_time(0, HOLD + MS);
	/* One that sends more often than the hold: half its gap, on average. */
	sources(2, MS);
	s[1].gap = 60 * MS;
	simulate(&w, 20 * SECOND);
	assert_in_range(s[0].lags / (int64_t)s[0].delivered, 25 * MS, 35 * MS);
	assert_in_order();
	/* One that stalls once: the hold, once. */
	sources(2, 50);
	s[1].stall = 5 * SECOND;
	s[1].stall_end = 9 * SECOND;
	w.quiet_until = 9 * SECOND + HOLD;
	simulate(&w, 10 * SECOND);
	assert_in_time(0, 2 * HOLD);
}

/*
 * What holds for all, whatever the clocks say.
 */

static void
any_source(struct source *a)
{
	a->gap = 100 + any(any(2) ? 200 * MS : 5 * MS);
	a->clock = any(2) ? LIVE : (unsigned int)any(EXTREME + 1);
	a->halves = 1 + (int)any(4);
	a->ahead = any(3) == 0 ? 0 : any(2) ? HOUR - any(2 * HOUR) :
	    200 * MS - any(400 * MS);
	a->jitter = any(50 * MS);
	a->most = 1 + (size_t)any(500);
	if (any(4) == 0) {
		a->stall = any(2 * SECOND);
		a->stall_end = a->stall + any(SECOND);
	}
	if (any(4) == 0)
		a->from = any(SECOND);
	if (any(4) == 0)
		a->until = any(2 * SECOND);
}

static void
no_record_waits_longer_than_the_hold(void **state)
{
	unsigned int i, k;

	(void)state;
	for (k = 0; k < SEEDS; k++) {
		sow(k);
		set_up(&w, 2 + (unsigned int)any(7));
		w.cost = 1000;
		for (i = 0; i < w.n; i++)
			any_source(&s[i]);
		simulate(&w, 2 * SECOND);
		assert_in_range(longest_wait(), 0, HOLD + 2 * MS);
	}
}

/*
 * Those whose clocks are right, and that send steadily, are in order, whoever
 * is beside them, joins or leaves.
 */
static void
right_clocks_are_in_order(void **state)
{
	unsigned int k;

	(void)state;
	for (k = 0; k < SEEDS; k++) {
		sow(k);
		set_up(&w, 3 + (unsigned int)any(6));
		w.cost = 1000;
		w.quiet_until = 2 * HOLD;
		set_right_clocks(&w);
		if (any(3) > 0) {
			any_source(&s[0]);
			s[0].ahead = any(2) ? HOUR : -HOUR;
		}
		simulate(&w, 2 * SECOND);
		assert_in_order();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_and_one_is_an_hour_ahead),
		cmocka_unit_test(a_fast_one_whose_clock_is_wrong),
		cmocka_unit_test(a_fast_one_by_small_reads),
		cmocka_unit_test(two_hundred_milliseconds_ahead),
		cmocka_unit_test(a_hiccup_is_forgiven),
		cmocka_unit_test(a_replay_that_stalled_catches_up),
		cmocka_unit_test(the_rest_of_replays_is_in_order),
		cmocka_unit_test(a_stopped_reader_has_all_in_order),
		cmocka_unit_test(beside_one_at_full_speed),
		cmocka_unit_test(fair_shares),
		cmocka_unit_test(sixty_four_at_full_speed),
		cmocka_unit_test(waiting_is_cheap),
		cmocka_unit_test(no_record_waits_longer_than_the_hold),
		cmocka_unit_test(right_clocks_are_in_order),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
