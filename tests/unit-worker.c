/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-worker - numbers that are taken, and free again
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pcap-tcp-worker.h"

#define N	4

/* No other run of this has it. */
static uint64_t key;

static int
take(uint64_t k, unsigned int expected)
{
	unsigned int worker = 0;
	int fd = pcap_tcp_worker_take(k, N, &worker);

	assert_int_not_equal(fd, -1);
	assert_int_equal(worker, expected);
	return (fd);
}

static void
refused(void)
{
	unsigned int worker;

	assert_int_equal(pcap_tcp_worker_take(key, N, &worker), -1);
	assert_int_equal(errno, EADDRINUSE);
}

static void
the_lowest_that_is_free(void **state)
{
	int fd[N + 1], other;
	unsigned int i;

	(void)state;
	for (i = 1; i <= N; i++)
		fd[i] = take(key, i);
	refused();
	other = take(key + 1, 1);
	close(fd[3]);
	fd[3] = take(key, 3);
	refused();
	close(fd[2]);
	close(fd[1]);
	fd[1] = take(key, 1);
	fd[2] = take(key, 2);
	for (i = 1; i <= N; i++)
		close(fd[i]);
	close(other);
	close(take(key, 1));
}

/* Not until the last of both has closed it. */
static void
a_child_has_it_too(void **state)
{
	int fd = take(key, 1), go[2], second;
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(pipe(go), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		close(go[1]);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	close(go[0]);
	close(fd);
	second = take(key, 2);
	close(go[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(take(key, 1));
	close(second);
}

static pthread_barrier_t barrier;

static void *
take_any(void *number)
{
	unsigned int worker = 0;
	int fd;

	pthread_barrier_wait(&barrier);
	fd = pcap_tcp_worker_take(key, N, &worker);
	*(unsigned int *)number = fd == -1 ? 0 : worker;
	/* All have tried before one gives it back. */
	pthread_barrier_wait(&barrier);
	if (fd != -1)
		close(fd);
	return (NULL);
}

static void
threads_have_one_each(void **state)
{
	pthread_t thread[N + 1];
	unsigned int i, round, number[N + 1], times[N + 1];

	(void)state;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, N + 1), 0);
	for (round = 0; round < 100; round++) {
		for (i = 0; i <= N; i++) {
			times[i] = 0;
			assert_int_equal(pthread_create(&thread[i], NULL,
			    take_any, &number[i]), 0);
		}
		for (i = 0; i <= N; i++)
			pthread_join(thread[i], NULL);
		for (i = 0; i <= N; i++)
			times[number[i]]++;
		/* 0: the one that was refused. */
		for (i = 0; i <= N; i++)
			assert_int_equal(times[i], 1);
	}
	pthread_barrier_destroy(&barrier);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_that_is_free),
		cmocka_unit_test(a_child_has_it_too),
		cmocka_unit_test(threads_have_one_each),
	};

	key = (uint64_t)getpid() << 32;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
