/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-opening - when a device is open, or why it will not be
 */

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-opening.h"

#define NOW	5000
#define GRACE	1000
#define NEVER	PCAP_TCP_NEVER

static struct pcap_tcp_opening opening;

static void
init(int timeout, enum pcap_tcp_scheme second)
{
	const struct pcap_tcp_device device = { .nsources = 2,
	    .source = { { .scheme = PCAP_TCP_SCHEME_TCP },
	    { .scheme = second } }, .timeout = timeout };

	pcap_tcp_opening_init(&opening, &device, NOW);
}

static void
has_so_much_time(void **state)
{
	static const struct {
		int timeout;		/* -1: not given */
		enum pcap_tcp_scheme second;
		int64_t give_up;
	} cases[] = {
		{ -1, PCAP_TCP_SCHEME_UNIX, NOW + 10000 },
		{ 3, PCAP_TCP_SCHEME_UNIX, NOW + 3000 },
		{ 0, PCAP_TCP_SCHEME_UNIX, NEVER },
		{ -1, PCAP_TCP_SCHEME_TLS_LISTEN, NEVER },
		{ 3, PCAP_TCP_SCHEME_TCP_LISTEN, NOW + 3000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		init(cases[i].timeout, cases[i].second);
		assert_true(opening.give_up == cases[i].give_up);
		assert_true(opening.grace_end == NEVER);
	}
}

/* At once, and with a timeout of 10 seconds after 9,999 ms and after all. */
static void
decides_by_how_matters_stand(void **state)
{
	enum { WAIT = PCAP_TCP_OPENING, OPEN = PCAP_TCP_OPEN,
	    NO = PCAP_TCP_REFUSED };
	static const struct {
		struct pcap_tcp_standing s;
		int now, late, over;
	} cases[] = {
		/* Nobody but those that we connect to. */
		{ { .undecided = 1 }, WAIT, WAIT, WAIT },
		{ { .retrying = 1 }, WAIT, WAIT, WAIT },
		{ { .retrying = 2 }, WAIT, WAIT, WAIT },
		{ { .streams = 0 }, NO, NO, NO },
		{ { .streams = 1 }, OPEN, OPEN, OPEN },
		{ { .streams = 1, .retrying = 1 }, OPEN, OPEN, OPEN },
		{ { .streams = 1, .undecided = 1 }, WAIT, OPEN, OPEN },
		/* Senders may come until the time is up. */
		{ { .is_listening = 1 }, WAIT, WAIT, NO },
		{ { .undecided = 1, .is_listening = 1 }, WAIT, WAIT, NO },
		{ { .streams = 1, .is_listening = 1 }, OPEN, OPEN, OPEN },
		{ { .undecided = 1, .streams = 1, .is_listening = 1 }, WAIT,
		    OPEN, OPEN },
	};
	static const int64_t times[] = { NOW, NOW + 9999, NOW + 10000 };
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int expected[] = { cases[i].now, cases[i].late,
		    cases[i].over };

		init(10, PCAP_TCP_SCHEME_TCP);
		for (j = 0; j < 3; j++) {
			if ((int)pcap_tcp_opening_decide(&opening,
			    &cases[i].s, times[j]) != expected[j])
				fail_msg("case %zu, time %zu", i, j);
		}
	}
}

/* It begins with the first stream, and only once. */
static void
the_others_have_a_second_of_grace(void **state)
{
	struct pcap_tcp_standing s = { .undecided = 3 };
	const int64_t then = NOW + 5000;

	(void)state;
	init(0, PCAP_TCP_SCHEME_TCP);
	assert_int_equal(pcap_tcp_opening_decide(&opening, &s, NOW),
	    PCAP_TCP_OPENING);
	assert_true(opening.grace_end == NEVER);
	s = (struct pcap_tcp_standing){ .undecided = 2, .streams = 1 };
	assert_int_equal(pcap_tcp_opening_decide(&opening, &s, then),
	    PCAP_TCP_OPENING);
	assert_true(opening.grace_end == then + GRACE);
	s = (struct pcap_tcp_standing){ .undecided = 1, .streams = 2 };
	assert_int_equal(pcap_tcp_opening_decide(&opening, &s,
	    then + GRACE - 1), PCAP_TCP_OPENING);
	assert_int_equal(pcap_tcp_opening_decide(&opening, &s, then + GRACE),
	    PCAP_TCP_OPEN);
}

static struct pcap_tcp_peer peers[PCAP_TCP_MAX_SOURCES];
static struct pcap_tcp_peer *peer[PCAP_TCP_MAX_SOURCES];
static char errbuf[PCAP_ERRBUF_SIZE + 8];

static int
setup(void **state)
{
	unsigned int i;

	(void)state;
	memset(peers, 0, sizeof(peers));
	for (i = 0; i < PCAP_TCP_MAX_SOURCES; i++) {
		snprintf(peers[i].name, sizeof(peers[i].name), "h:%u", i + 1);
		peers[i].timeout = 10;
		peer[i] = &peers[i];
	}
	return (0);
}

static void
fails(unsigned int i, int errnum, const char *error)
{
	peers[i].failed = 1;
	peers[i].errnum = errnum;
	snprintf(peers[i].error, sizeof(peers[i].error), "%s", error);
}

/* Nothing is written behind the buffer, and the line ends in it. */
static void
refuse(unsigned int n, const char *last_sender)
{
	memset(errbuf, 'x', sizeof(errbuf));
	errno = 0;
	pcap_tcp_opening_refuse(peer, n, 7, last_sender, errbuf,
	    PCAP_ERRBUF_SIZE);
	assert_non_null(memchr(errbuf, '\0', PCAP_ERRBUF_SIZE));
	assert_memory_equal(errbuf + PCAP_ERRBUF_SIZE, "xxxxxxxx", 8);
}

static void
each_peer_has_its_reason(void **state)
{
	(void)state;
	fails(0, ECONNREFUSED, "cannot connect to h:1: no");
	refuse(1, "");
	assert_string_equal(errbuf, "cannot connect to h:1: no");
	assert_int_equal(errno, ECONNREFUSED);
	/* The second one is still at it. */
	refuse(2, "");
	assert_string_equal(errbuf, "cannot connect to h:1: no; h:2 sent no "
	    "pcap stream within 10 seconds");
	assert_int_equal(errno, ECONNREFUSED);
	fails(1, EPROTO, "h:2: not a pcap stream");
	refuse(2, "h:3: of no interest");
	assert_string_equal(errbuf, "cannot connect to h:1: no; h:2: not a "
	    "pcap stream");
	assert_int_equal(errno, ECONNREFUSED);
	/* errno is the first one's, as the text begins with that. */
	peers[0].failed = 0;
	refuse(2, "");
	assert_string_equal(errbuf, "h:1 sent no pcap stream within 10 "
	    "seconds; h:2: not a pcap stream");
	assert_int_equal(errno, ETIMEDOUT);
}

static void
senders_have_that_of_the_last_one(void **state)
{
	char sender[PCAP_ERRBUF_SIZE], text[PCAP_ERRBUF_SIZE];

	(void)state;
	refuse(0, "");
	assert_string_equal(errbuf,
	    "no sender sent a pcap stream within 7 seconds");
	assert_int_equal(errno, ETIMEDOUT);
	refuse(0, "h:9: no");
	assert_string_equal(errbuf, "no sender sent a pcap stream within 7 "
	    "seconds; the last, h:9: no");
	memset(sender, 's', sizeof(sender) - 1);
	sender[sizeof(sender) - 1] = '\0';
	refuse(0, sender);
	snprintf(text, sizeof(text), "no sender sent a pcap stream within 7 "
	    "seconds; the last, %.180s", sender);
	assert_string_equal(errbuf, text);
	assert_int_equal(errno, ETIMEDOUT);
}

/* As many reasons as there is room for, and how many there are besides. */
static void
many_reasons_are_counted(void **state)
{
	char error[PCAP_ERRBUF_SIZE], rest[32];
	unsigned int n, i, length, whole;
	size_t at;

	(void)state;
	/* The first one's ends the line, however long it is. */
	memset(error, 'e', sizeof(error));
	for (length = 1; length < PCAP_ERRBUF_SIZE; length++) {
		error[length] = '\0';
		fails(0, EPROTO, error);
		refuse(64, "");
		assert_memory_equal(errbuf, error, length);
		error[length] = 'e';
	}
	for (length = 1; length <= 100; length++) {
		error[length] = '\0';
		for (i = 0; i < 64; i++)
			fails(i, EPROTO, error);
		error[length] = 'e';
		for (n = 1; n <= 64; n++) {
			refuse(n, "");
			at = length;
			assert_memory_equal(errbuf, error, at);
			for (whole = 1; errbuf[at + 2] == 'e'; whole++) {
				assert_memory_equal(errbuf + at, "; ", 2);
				assert_memory_equal(errbuf + at + 2, error,
				    length);
				at += 2 + length;
			}
			snprintf(rest, sizeof(rest), "; and %u more",
			    n - whole);
			assert_string_equal(errbuf + at,
			    whole == n ? "" : rest);
			/* No other one would have fitted. */
			if (whole < n)
				assert_true(at + 2 + length +
				    sizeof("; and 64 more") >
				    PCAP_ERRBUF_SIZE);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_so_much_time),
		cmocka_unit_test(decides_by_how_matters_stand),
		cmocka_unit_test(the_others_have_a_second_of_grace),
		cmocka_unit_test_setup(each_peer_has_its_reason, setup),
		cmocka_unit_test_setup(senders_have_that_of_the_last_one,
		    setup),
		cmocka_unit_test_setup(many_reasons_are_counted, setup),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
