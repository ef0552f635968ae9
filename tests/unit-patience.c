/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-patience - the order of several inputs
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pcap-tcp-patience.h"

#define HOLD	100
#define SECOND	1000000

static struct pcap_tcp_patience m;
static int64_t limit;

static int
setup(void **state)
{
	(void)state;
	pcap_tcp_patience_init(&m, HOLD, SECOND);
	m.now = 5000;
	return (0);
}

static void
arrives(unsigned int input, int64_t ts)
{
	pcap_tcp_patience_read(&m, input, ts);
}

static int
first(void)
{
	return (pcap_tcp_patience_choose(&m, &limit));
}

static void
nothing_at_hand(void **state)
{
	(void)state;
	assert_int_equal(first(), -1);
	assert_true(pcap_tcp_patience_deadline(&m) == INT64_MAX);
	pcap_tcp_patience_dry(&m, 3);
	assert_int_equal(first(), -1);
	assert_true(pcap_tcp_patience_deadline(&m) == INT64_MAX);
}

static void
one_input_has_no_limit(void **state)
{
	(void)state;
	pcap_tcp_patience_offer(&m, 7, -5);
	assert_int_equal(first(), 7);
	assert_true(limit == INT64_MAX);
	/* Another one may have something any time. */
	pcap_tcp_patience_dry(&m, 3);
	m.now += HOLD;
	assert_int_equal(first(), 7);
	assert_true(limit == -5 + HOLD * SECOND / 1000);
	pcap_tcp_patience_out(&m, 3);
	assert_int_equal(first(), 7);
	assert_true(limit == INT64_MAX);
}

static void
the_oldest_is_first_up_to_the_next_one(void **state)
{
	(void)state;
	pcap_tcp_patience_offer(&m, 0, 30);
	pcap_tcp_patience_offer(&m, 1, 10);
	pcap_tcp_patience_offer(&m, 2, 20);
	assert_int_equal(first(), 1);
	assert_true(limit == 20);
	pcap_tcp_patience_offer(&m, 1, 25);
	assert_int_equal(first(), 2);
	assert_true(limit == 25);
	pcap_tcp_patience_out(&m, 2);
	assert_int_equal(first(), 1);
	pcap_tcp_patience_out(&m, 1);
	assert_int_equal(first(), 0);
	pcap_tcp_patience_out(&m, 0);
	assert_int_equal(first(), -1);
}

static void
equal_times_have_one_order(void **state)
{
	(void)state;
	pcap_tcp_patience_offer(&m, 5, 10);
	pcap_tcp_patience_offer(&m, 2, 10);
	pcap_tcp_patience_offer(&m, 9, 10);
	assert_int_equal(first(), 2);
	assert_true(limit == 10);
}

static void
a_dry_input_holds_the_rest_back_for_a_while(void **state)
{
	(void)state;
	arrives(0, 10);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(first(), -1);
	assert_true(pcap_tcp_patience_deadline(&m) == 5000 + HOLD);
	m.now += HOLD - 1;
	assert_int_equal(first(), -1);
	m.now++;
	assert_int_equal(first(), 0);
	/* Once, not for each record. */
	pcap_tcp_patience_offer(&m, 0, 20);
	assert_int_equal(first(), 0);
	/* What comes late is next if it is older. */
	arrives(1, 15);
	assert_int_equal(first(), 1);
}

/* Sixty-four records came at once: none waits longer than the first one. */
static void
no_record_waits_for_longer_than_that(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 64; i++)
		arrives(i, i);
	assert_int_equal(first(), 0);
	pcap_tcp_patience_dry(&m, 0);
	assert_int_equal(first(), -1);
	assert_true(pcap_tcp_patience_deadline(&m) == 5000 + HOLD);
	m.now += HOLD;
	for (i = 1; i < 64; i++) {
		assert_int_equal(first(), i);
		pcap_tcp_patience_dry(&m, i);
	}
}

/*
 * Input 0 has more than the reader can take, 1 has a record now and then.
 * That 1 was delivered late because 0 had so much makes nobody wait for it.
 */
static void
a_stall_begins_with_the_last_that_was_read(void **state)
{
	(void)state;
	arrives(0, 10);
	arrives(1, 15);
	assert_int_equal(first(), 0);
	m.now += HOLD - 1;
	arrives(0, 20);
	assert_int_equal(first(), 1);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(first(), -1);
	assert_true(pcap_tcp_patience_deadline(&m) == 5000 + HOLD);
	m.now++;
	assert_int_equal(first(), 0);
}

static void
nobody_waits_for_one_that_is_far_behind(void **state)
{
	(void)state;
	arrives(0, 60 * SECOND);
	assert_int_equal(first(), 0);
	pcap_tcp_patience_offer(&m, 0, 61 * SECOND);
	arrives(1, 10 * SECOND);
	assert_int_equal(first(), 1);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(first(), 0);
	/* It has caught up. */
	pcap_tcp_patience_offer(&m, 0, 62 * SECOND);
	arrives(1, 61 * SECOND);
	assert_int_equal(first(), 1);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(first(), -1);
}

/* How long input 0's record is held back, in ms. */
static int
held_back(int64_t ts)
{
	int ms = 0;

	arrives(0, ts);
	for (; first() == -1; ms++) {
		assert_true(ms < 10 * HOLD);
		m.now++;
	}
	assert_int_equal(first(), 0);
	pcap_tcp_patience_dry(&m, 0);
	return (ms);
}

/* Input 1 has a record now and then, always later than it is waited for. */
static void
one_that_is_always_late_is_waited_for_less_and_less(void **state)
{
	int waits = 0, i;
	int64_t ts = 0;

	(void)state;
	for (i = 0; i < 100; i++) {
		arrives(1, ts);
		assert_int_equal(first(), 1);
		pcap_tcp_patience_dry(&m, 1);
		waits += held_back(ts += 1000);
		m.now += HOLD;
	}
	/* After the first few, a 16th of the time. */
	assert_in_range(waits, 4 * HOLD, 12 * HOLD);
	/* Once it has come in time, all is forgotten. */
	for (i = 0; m.input[1].state != PCAP_TCP_INPUT_DRY; i++) {
		assert_true(i < 20);
		m.now += HOLD;
		arrives(1, ts += 1000);
		assert_int_equal(first(), 1);
		pcap_tcp_patience_dry(&m, 1);
	}
	arrives(1, ts += 1000);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(held_back(ts += 1000), HOLD);
	m.now += HOLD;
	arrives(1, ts);
	pcap_tcp_patience_dry(&m, 1);
	assert_int_equal(held_back(ts += 1000), HOLD);
}

/* That changes nothing between the others. */
static void
one_that_is_late_leaves_the_others_in_order(void **state)
{
	(void)state;
	arrives(2, 0);
	assert_int_equal(first(), 2);
	pcap_tcp_patience_dry(&m, 2);
	assert_int_equal(held_back(10), HOLD);
	arrives(1, 20);
	assert_int_equal(first(), 1);
	pcap_tcp_patience_dry(&m, 1);
	arrives(0, 30);
	assert_int_equal(first(), -1);
	arrives(1, 25);
	assert_int_equal(first(), 1);
}

/* Strangers that connect one after the other and send nothing. */
static void
new_ones_hold_the_rest_back_for_half_of_the_time(void **state)
{
	int waits = 0, i;

	(void)state;
	for (i = 0; i < 200; i++) {
		pcap_tcp_patience_dry(&m, (unsigned int)(1 + i % 64));
		waits += held_back(i);
		m.now += 2;
		pcap_tcp_patience_out(&m, (unsigned int)(1 + i % 64));
	}
	assert_in_range(waits, HOLD, (m.now - 5000) / 2 + HOLD);
}

static void
an_input_that_leaves_holds_nobody_back(void **state)
{
	(void)state;
	arrives(0, 10);
	pcap_tcp_patience_dry(&m, 1);
	pcap_tcp_patience_out(&m, 1);
	assert_int_equal(first(), 0);
}

/* Against a plain search for the oldest, with all that may happen. */
static void
agrees_with_a_search(void **state)
{
	int64_t at_hand[PCAP_TCP_MAX_INPUTS] = { 0 };	/* 0: none */
	int64_t next = INT64_MAX, others;
	int step, i, input, oldest;

	(void)state;
	srand(1);
	for (step = 0; step < 200000; step++) {
		input = rand() % PCAP_TCP_MAX_INPUTS;
		if (rand() % 4 == 0) {
			pcap_tcp_patience_out(&m, (unsigned int)input);
			at_hand[input] = 0;
		} else {
			at_hand[input] = 1 + rand() % 1000;
			pcap_tcp_patience_offer(&m, (unsigned int)input,
			    at_hand[input]);
		}
		oldest = -1;
		for (i = 0; i < PCAP_TCP_MAX_INPUTS; i++) {
			if (at_hand[i] != 0 && (oldest == -1 ||
			    at_hand[i] < at_hand[oldest]))
				oldest = i;
		}
		assert_int_equal(first(), oldest);
		others = INT64_MAX;
		for (i = 0; i < PCAP_TCP_MAX_INPUTS; i++) {
			next = at_hand[i];
			if (i != oldest && next != 0 && next < others)
				others = next;
		}
		assert_true(oldest == -1 || limit == others);
	}
}

/* Input 1's clock is an hour ahead; the others' records come all the time. */
static void
a_clock_that_is_ahead_gets_in_step(void **state)
{
	const int64_t hour = 3600LL * SECOND;
	int i, waited = 0;

	(void)state;
	arrives(0, 0);
	arrives(1, hour);
	for (i = 1; first() == 0; i++) {
		assert_true(i < 10000);
		m.now++;
		m.delivered++;
		pcap_tcp_patience_offer(&m, 0, i * 1000);
		pcap_tcp_patience_unskew(&m);
		waited = i;
	}
	assert_in_range(waited, 1024, 1026);
	/* An input that could not be reached again changes nothing. */
	pcap_tcp_patience_out(&m, 5);
	assert_int_equal(first(), 1);
	/* Its next record is 5 ms on, the other's 1 ms. */
	pcap_tcp_patience_offer(&m, 1, hour + 5000);
	assert_int_equal(first(), 0);
	for (i = 0; first() == 0; i++) {
		m.now++;
		m.delivered++;
		pcap_tcp_patience_offer(&m, 0, (waited + 1 + i) * 1000);
		assert_true(i < 20);
	}
	assert_in_range(i, 3, 7);
	/* A new stream of it starts with a clean slate. */
	pcap_tcp_patience_out(&m, 1);
	arrives(1, hour);
	assert_int_equal(first(), 0);
}

/* A reader that was stopped is no reason to mix up what comes in turn. */
static void
a_pause_moves_no_clock(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 64; i++)
		pcap_tcp_patience_offer(&m, (unsigned int)i, i * SECOND);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(first(), i % 64);
		m.now += 1000;
		m.delivered++;
		pcap_tcp_patience_offer(&m, (unsigned int)(i % 64),
		    (int64_t)(i + 64) * SECOND);
		pcap_tcp_patience_unskew(&m);
	}
}

/* Time stamps are the senders': no sum of them may overflow. */
static void
absurd_times_do_no_harm(void **state)
{
	int i;

	(void)state;
	pcap_tcp_patience_offer(&m, 0, INT64_MIN);
	pcap_tcp_patience_offer(&m, 1, INT64_MAX);
	pcap_tcp_patience_offer(&m, 2, INT64_MAX);
	for (i = 0; i < 5000; i++) {
		assert_true(first() >= 0);
		m.now++;
		m.delivered++;
		pcap_tcp_patience_offer(&m, (unsigned int)(i % 3),
		    i % 2 ? INT64_MIN : INT64_MAX);
		pcap_tcp_patience_unskew(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_at_hand, setup),
		cmocka_unit_test_setup(one_input_has_no_limit, setup),
		cmocka_unit_test_setup(the_oldest_is_first_up_to_the_next_one,
		    setup),
		cmocka_unit_test_setup(equal_times_have_one_order, setup),
		cmocka_unit_test_setup(
		    a_dry_input_holds_the_rest_back_for_a_while, setup),
		cmocka_unit_test_setup(no_record_waits_for_longer_than_that,
		    setup),
		cmocka_unit_test_setup(
		    a_stall_begins_with_the_last_that_was_read, setup),
		cmocka_unit_test_setup(nobody_waits_for_one_that_is_far_behind,
		    setup),
		cmocka_unit_test_setup(
		    one_that_is_always_late_is_waited_for_less_and_less,
		    setup),
		cmocka_unit_test_setup(
		    one_that_is_late_leaves_the_others_in_order, setup),
		cmocka_unit_test_setup(
		    new_ones_hold_the_rest_back_for_half_of_the_time, setup),
		cmocka_unit_test_setup(an_input_that_leaves_holds_nobody_back,
		    setup),
		cmocka_unit_test_setup(agrees_with_a_search, setup),
		cmocka_unit_test_setup(a_clock_that_is_ahead_gets_in_step,
		    setup),
		cmocka_unit_test_setup(a_pause_moves_no_clock, setup),
		cmocka_unit_test_setup(absurd_times_do_no_harm, setup),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
