/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-log.c - a line of the log: its fields, its length, and how many
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pcap-tcp-log.h"
#include "unit-linktypes.h"

static struct pcap_tcp_log a_log;
static struct pcap_tcp_log_share share;
static struct pcap_tcp_log_line line;
static char path[] = "/tmp/unit-log.XXXXXX", text[65536], errbuf[256];

static int
setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_int_not_equal(fd, -1);
	close(fd);
	assert_int_equal(pcap_tcp_log_open(&a_log, path, "dev \"ice\"",
	    errbuf, sizeof(errbuf)), 0);
	memset(&share, 0, sizeof(share));
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	pcap_tcp_log_close(&a_log);
	unlink(path);
	strcpy(strrchr(path, '.'), ".XXXXXX");
	return (0);
}

/* All that was written. */
static const char *
written(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return (text);
}

static unsigned int
count_lines(void)
{
	const char *c = written();
	unsigned int n = 0;

	while ((c = strchr(c, '\n')) != NULL) {
		c++;
		n++;
	}
	return (n);
}

static int
write_line(struct pcap_tcp_log_share *s)
{
	if (!pcap_tcp_log_begin(&line, &a_log, s, PCAP_TCP_LOG_INFO, "said"))
		return (0);
	pcap_tcp_log_end(&line, &a_log, s);
	return (1);
}

static void
values_are_quoted_where_they_need_it(void **state)
{
	(void)state;
	assert_int_equal(pcap_tcp_log_begin(&line, &a_log, NULL,
	    PCAP_TCP_LOG_INFO, "it was %d\n", 5), 1);
	pcap_tcp_log_text(&line, "plain", "a:1");
	pcap_tcp_log_text(&line, "none", "");
	pcap_tcp_log_text(&line, "odd", "a\\b=\x1b\xff");
	pcap_tcp_log_number(&line, "n", UINT64_MAX);
	pcap_tcp_log_end(&line, &a_log, NULL);
	assert_string_equal(strstr(written(), ": it"), ": it was 5? "
	    "device=\"dev \\\"ice\\\"\" plain=a:1 odd=\"a\\\\b=??\" "
	    "n=18446744073709551615\n");
}

static void
a_long_line_is_cut_and_ends(void **state)
{
	char value[5000];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(pcap_tcp_log_begin(&line, &a_log, NULL,
	    PCAP_TCP_LOG_INFO, "%s", value), 1);
	pcap_tcp_log_text(&line, "long", value);
	pcap_tcp_log_end(&line, &a_log, NULL);
	assert_int_equal(strlen(written()), sizeof(line.text));
	assert_int_equal(count_lines(), 1);
}

/* And they are counted. */
static void
a_share_has_sixteen_lines_at_once(void **state)
{
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < 16; i++)
		n += (unsigned int)write_line(&share);
	assert_int_equal(n, 16);
	share.used_until += 1000;	/* It may have become another one. */
	assert_int_equal(write_line(&share), 0);
	assert_int_equal(write_line(&share), 0);
	assert_int_equal(share.omitted, 2);
	assert_null(strstr(written(), "omitted"));
	share.used_until -= 3000;
	assert_int_equal(write_line(&share), 1);
	assert_non_null(strstr(written(), " omitted=2\n"));
	assert_int_equal(share.omitted, 0);
	/* That of another source is its own. */
	memset(&share, 0, sizeof(share));
	assert_int_equal(write_line(&share), 1);
}

static void
tens_are_due(void **state)
{
	const uint64_t due[] = { 1, 10, 100, 1000, 1000000000000 };
	const uint64_t other[] = { 0, 2, 9, 11, 20, 101, 1010, 999 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		assert_int_equal(pcap_tcp_log_is_due(due[i]), 1);
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_int_equal(pcap_tcp_log_is_due(other[i]), 0);
}

static void
nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(pcap_tcp_log_begin(&line, NULL, NULL,
	    PCAP_TCP_LOG_INFO, "said"), 0);
	pcap_tcp_log_close(&a_log);
	assert_int_equal(write_line(NULL), 0);
}

/* It would write root's files for whoever calls it. */
static void
a_setuid_program_writes_no_file(void **state)
{
	const char *to[] = { path, "stderr" };
	struct pcap_tcp_log log;
	int i, opened, error;

	(void)state;
	if (getuid() != 0)
		skip();
	for (i = 0; i < 2; i++) {
		assert_int_equal(setreuid(65534, 0), 0);
		opened = pcap_tcp_log_open(&log, to[i], "device", errbuf,
		    sizeof(errbuf));
		error = errno;
		assert_int_equal(setreuid(0, 0), 0);
		pcap_tcp_log_close(&log);
		assert_int_equal(opened, i - 1);
		if (opened == -1) {
			assert_int_equal(error, EPERM);
			assert_non_null(strstr(errbuf, "cannot write to log="));
		}
	}
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_are_quoted_where_they_need_it),
		TEST(a_long_line_is_cut_and_ends),
		TEST(a_share_has_sixteen_lines_at_once),
		TEST(tens_are_due),
		TEST(nobody_listens),
		TEST(a_setuid_program_writes_no_file),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
