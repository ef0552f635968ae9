/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-patience - the order of several inputs, one record at a time, and against
 * a plain search
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unit-merging.h"

#define SEEDS	3000

static struct pcap_tcp_patience p;
static struct pcap_tcp_record record[PCAP_TCP_MAX_INPUTS];
static struct pcap_tcp_batch batch[PCAP_TCP_MAX_INPUTS], run;

static int
setup(void **state)
{
	(void)state;
	pcap_tcp_patience_init(&p, 100, SECOND);
	p.now = 5000;
	return (0);
}

static void
arrives_by(unsigned int input, int64_t ts, int full)
{
	record[input].h.ts.tv_sec = (time_t)(ts / SECOND);
	record[input].h.ts.tv_usec = (suseconds_t)(ts % SECOND);
	batch[input].next = &record[input];
	batch[input].end = batch[input].next + 1;
	pcap_tcp_patience_read(&p, input, &batch[input], full);
}

static void
arrives(unsigned int input, int64_t ts)
{
	arrives_by(input, ts, 0);
}

/* Whose record is next, and then it has no more; -1: nobody's. */
static int
next(void)
{
	int input;

	if (!pcap_tcp_patience_next(&p, &run)) {
		assert_true(pcap_tcp_patience_deadline(&p) > p.now);
		return (-1);
	}
	assert_ptr_equal(run.end, run.next + 1);
	input = p.merge.exhausted;
	p.merge.exhausted = -1;
	pcap_tcp_patience_dry(&p, (unsigned int)input);
	return (input);
}

static void
nothing_at_hand(void **state)
{
	(void)state;
	assert_int_equal(next(), -1);
	pcap_tcp_patience_dry(&p, 3);
	assert_int_equal(next(), -1);
	assert_true(pcap_tcp_patience_deadline(&p) == INT64_MAX);
}

static void
the_oldest_is_first(void **state)
{
	(void)state;
	arrives(0, 30);
	arrives(1, -10);
	arrives(2, 20);
	assert_int_equal(next(), 1);
	arrives(1, 25);
	assert_int_equal(next(), 2);
	pcap_tcp_patience_out(&p, 2);
	assert_int_equal(next(), 1);
}

static void
a_dry_input_is_waited_for(void **state)
{
	(void)state;
	arrives(0, 10);
	pcap_tcp_patience_dry(&p, 1);
	assert_int_equal(next(), -1);
	assert_true(pcap_tcp_patience_deadline(&p) == 5100);
	p.now += 99;
	assert_int_equal(next(), -1);
	p.now++;
	assert_true(pcap_tcp_patience_deadline(&p) == 0);
	assert_int_equal(next(), 0);
	/* Not for longer than a hold since it was last heard of. */
	arrives(0, 20);
	assert_int_equal(next(), 0);
	arrives(1, 15);
	assert_int_equal(next(), 1);
}

/* With time stamps of the arrival, nobody is. */
static void
who_can_have_nothing_older_is_not_waited_for(void **state)
{
	(void)state;
	p.floor = 10;
	arrives(0, 10);
	pcap_tcp_patience_dry(&p, 1);
	assert_int_equal(next(), 0);
	arrives(0, 11);
	assert_int_equal(next(), -1);
	p.floor = 11;
	assert_int_equal(next(), 0);
}

static void
what_comes_in_time_is_in_order(void **state)
{
	(void)state;
	arrives(0, 10);
	arrives(1, 20);
	assert_int_equal(next(), 0);
	assert_int_equal(next(), -1);
	p.now += 50;
	arrives(0, 15);
	assert_int_equal(next(), 0);
	/* 0 can have nothing that is older than its last one. */
	arrives(0, 20);
	assert_int_equal(next(), 1);
	assert_int_equal(next(), 0);
	arrives(0, 21);
	assert_int_equal(next(), -1);
}

static void
an_input_that_leaves_is_not_waited_for(void **state)
{
	(void)state;
	arrives(0, 10);
	pcap_tcp_patience_dry(&p, 1);
	assert_int_equal(next(), -1);
	pcap_tcp_patience_out(&p, 1);
	assert_int_equal(next(), 0);
}

/* Strangers that come one after the other, and send nothing, or a record. */
static void
new_inputs_are_waited_for_once_in_a_while(void **state)
{
	unsigned int stranger;
	int send, ms, i, waited;

	for (send = 0; send < 2; send++) {
		setup(state);
		for (waited = i = 0; i < 500; i++) {
			stranger = 1 + (unsigned int)i % 64;
			pcap_tcp_patience_dry(&p, stranger);
			if (send)
				arrives(stranger, i * 1000);
			arrives(0, i * 1000 + 500);
			for (ms = 0; next() != 0; ms++) {
				assert_true(ms <= 101);
				p.now++;
			}
			waited += ms;
			p.now += 10;
			pcap_tcp_patience_out(&p, stranger);
		}
		assert_in_range(waited - 500 * send, 100, (p.now - 5000) / 10);
	}
}

/* Is 1, that sends now, waited for?  0's record stays if it is. */
static int
is_waited_for(void)
{
	int input;

	arrives(1, p.now * MS);
	arrives(0, p.now * MS + 1);
	assert_int_equal(next(), 1);
	input = next();
	assert_true(input == 0 || input == -1);
	return (input == -1);
}

/* Nobody else is there: 1 sends so often, each time after so long. */
static void
sends(int times, int64_t ms)
{
	for (; times > 0; times--) {
		p.now += ms;
		arrives(1, p.now * MS);
		assert_int_equal(next(), 1);
	}
}

/* For 31 holds at most, and not at all once it has sent for longer. */
static void
who_sends_again_is_waited_for(void **state)
{
	int64_t then;

	(void)state;
	sends(40, 150);
	for (then = p.now; !is_waited_for(); p.now += 50)
		assert_true(p.now <= then + 3100);
	assert_true(p.now == then + 3100);
	pcap_tcp_patience_out(&p, 1);
	p.now += 100;
	assert_int_equal(next(), 0);
	setup(state);
	sends(40, 150);
	sends(130, 50);
	assert_true(is_waited_for());
	p.now += 100;
	assert_int_equal(next(), 0);
	pcap_tcp_patience_out(&p, 0);
	/* This time is the first again. */
	p.now += 50;
	assert_true(is_waited_for());
}

/* Whatever it did before, and where all the others have sent something. */
static void
who_returns_starts_afresh(void **state)
{
	int known;

	(void)state;
	for (known = 0; known < 2; known++) {
		setup(state);
		if (known)
			sends(10, 150);
		pcap_tcp_patience_out(&p, 1);
		arrives(0, p.now * MS);
		assert_int_equal(next(), 0);
		p.now += 1700;
		pcap_tcp_patience_dry(&p, 1);
		arrives(0, p.now * MS);
		assert_int_equal(next(), -1);
		arrives(1, p.now * MS - 1);
		assert_int_equal(next(), 1);
		assert_int_equal(next(), -1);
	}
}

static void
arrival_never_goes_back(void **state)
{
	static const struct timespec late = { 20, 5000 }, early = { 19, 9000 },
	    later = { 20, 6000 };
	struct timeval tv = { 0, 0 };

	(void)state;
	pcap_tcp_patience_arrival(&p, &late, &tv);
	assert_true(tv.tv_sec == 20 && tv.tv_usec == 5);
	pcap_tcp_patience_arrival(&p, &early, &tv);
	assert_true(tv.tv_sec == 20 && tv.tv_usec == 5);
	assert_true(p.floor == 20 * SECOND + 5);
	pcap_tcp_patience_arrival(&p, &later, &tv);
	assert_true(tv.tv_sec == 20 && tv.tv_usec == 6);
}

/* 1's clock is an hour ahead of 0's.  Its record is overdue, and 0's is not. */
static void
passes_for_being_overdue(int full)
{
	arrives_by(1, HOUR, full);
	p.now += 100;
	arrives(0, 10);
	assert_int_equal(next(), 1);
}

/* What may have been in the socket need not wait for the hold again. */
static void
turns_at_once_while_reads_leave_something(void **state)
{
	int64_t i;

	(void)state;
	passes_for_being_overdue(1);
	for (i = 1; i < 5; i++) {
		arrives_by(1, HOUR, 1);
		assert_int_equal(next(), 0);
		arrives(0, 10 + i);
		assert_int_equal(next(), 1);
	}
	/* That was all of it: it has to be overdue again. */
	arrives_by(1, HOUR, 0);
	for (; i < 10; i++) {
		assert_int_equal(next(), 0);
		arrives(0, 10 + i);
	}
	p.now += 100;
	assert_int_equal(next(), 1);
}

static void
no_turns_at_once_if_nothing_was_left(void **state)
{
	int64_t i;

	(void)state;
	passes_for_being_overdue(0);
	arrives_by(1, HOUR, 1);
	for (i = 1; i < 5; i++) {
		assert_int_equal(next(), 0);
		arrives(0, 10 + i);
	}
}

/* It is later if it was in order, until it passes one that has to wait. */
static void
a_turn_is_not_far_away(void **state)
{
	int i;

	(void)state;
	arrives_by(1, HOUR, 1);
	arrives(3, HOUR);
	assert_int_equal(next(), 1);
	assert_int_equal(next(), 3);
	pcap_tcp_patience_out(&p, 3);
	arrives_by(1, HOUR, 1);
	p.now += 60;
	arrives(2, 5);
	assert_int_equal(next(), 2);
	arrives(0, 10);
	p.now += 40;
	/* 0's record has to wait for 2, and 1's no longer. */
	assert_int_equal(next(), 1);
	for (i = 0; i < 4; i++) {
		arrives(2, 6);
		assert_int_equal(next(), 2);
	}
	arrives(2, 20);
	arrives_by(1, HOUR, 1);
	assert_int_equal(next(), 1);
}

/* Against a plain search for the oldest. */
static void
agrees_with_a_search(void **state)
{
	enum { EACH = 100 };
	static struct pcap_tcp_record all[SOURCES][EACH];
	unsigned int n, k, i, oldest;
	size_t done[SOURCES];
	int64_t at;

	(void)state;
	for (k = 0; k < SEEDS; k++) {
		sow(k);
		n = 2 + (unsigned int)any(SOURCES - 1);
		setup(NULL);
		for (i = 0; i < n; i++) {
			done[i] = 0;
			for (at = 0; at < EACH; at++) {
				all[i][at].h.ts.tv_usec = (suseconds_t)(
				    (at == 0 ? 0 :
				    all[i][at - 1].h.ts.tv_usec) +
				    any(k % 2 ? 100 : 3) * SOURCES + i -
				    (at == 0 ? 0 : i));
				all[i][at].data = (u_char *)&all[i][at];
			}
			batch[i].next = all[i];
			batch[i].end = all[i] + EACH;
			pcap_tcp_patience_read(&p, i, &batch[i], 0);
		}
		while (p.merge.exhausted == -1) {
			assert_true(pcap_tcp_patience_next(&p, &run));
			for (; run.next != run.end; run.next++) {
				for (oldest = 0, i = 1; i < n; i++) {
					if (all[i][done[i]].h.ts.tv_usec <
					    all[oldest][done[oldest]]
					    .h.ts.tv_usec)
						oldest = i;
				}
				assert_ptr_equal(run.next->data,
				    &all[oldest][done[oldest]]);
				if (++done[oldest] == EACH)
					assert_ptr_equal(run.next + 1,
					    run.end);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_at_hand, setup),
		cmocka_unit_test_setup(the_oldest_is_first, setup),
		cmocka_unit_test_setup(a_dry_input_is_waited_for, setup),
		cmocka_unit_test_setup(
		    who_can_have_nothing_older_is_not_waited_for, setup),
		cmocka_unit_test_setup(what_comes_in_time_is_in_order, setup),
		cmocka_unit_test_setup(an_input_that_leaves_is_not_waited_for,
		    setup),
		cmocka_unit_test_setup(
		    new_inputs_are_waited_for_once_in_a_while, setup),
		cmocka_unit_test_setup(who_sends_again_is_waited_for, setup),
		cmocka_unit_test_setup(who_returns_starts_afresh, setup),
		cmocka_unit_test_setup(arrival_never_goes_back, setup),
		cmocka_unit_test_setup(
		    turns_at_once_while_reads_leave_something, setup),
		cmocka_unit_test_setup(no_turns_at_once_if_nothing_was_left,
		    setup),
		cmocka_unit_test_setup(a_turn_is_not_far_away, setup),
		cmocka_unit_test(agrees_with_a_search),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
