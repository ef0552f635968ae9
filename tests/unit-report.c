/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-report.c - what the log and the status say of a peer
 */

#include <fcntl.h>

#include "unit-peer.h"

static struct pcap_tcp_log a_log;
static char log_path[128], text[4096];

static int
setup_log(void **state)
{
	char errbuf[PCAP_ERRBUF_SIZE];

	(void)setup(state);
	snprintf(log_path, sizeof(log_path), "%s/log", server_folder);
	assert_int_equal(pcap_tcp_log_open(&a_log, log_path, "a device",
	    errbuf, sizeof(errbuf)), 0);
	common.log = &a_log;
	return (0);
}

static int
teardown_log(void **state)
{
	pcap_tcp_log_close(&a_log);
	unlink(log_path);
	return (teardown(state));
}

static const char *
written(void)
{
	int fd = open(log_path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return (text);
}

/* Two of 16 bits in this machine's byte order. */
static uint32_t
pair(uint16_t first, uint16_t second)
{
	const uint16_t both[] = { first, second };
	uint32_t n;

	memcpy(&n, both, sizeof(n));
	return (n);
}

/* pcapng: how many bytes have a section's header and an interface's? */
enum { SECTION = 28, INTERFACE = 32 };

/* A section with a packet, whose time stamps are whole seconds. */
static void
put_section(uint32_t *to)
{
	const uint32_t blocks[] = {
		0x0a0d0d0a, SECTION, 0x1a2b3c4d, pair(1, 0), UINT32_MAX,
		UINT32_MAX, SECTION,
		1, INTERFACE, pair(1, 0), 0, pair(9, 1), 0, 0, INTERFACE,
		6, 36, 0, 0x7fffffff, UINT32_MAX, 1, 1, 0, 36
	};

	memcpy(to, blocks, sizeof(blocks));
}

/* By NTP when a machine starts, say. */
static void
a_clock_that_is_set_back(void **state)
{
	(void)state;
	new_sender();
	fake_gives(fake, stream, sizeof(stream));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	source.since += 3600000;
	fake_ends(fake);
	assert_int_equal(advance(), PCAP_TCP_END);
	assert_non_null(strstr(written(), "lost sensor:1: end of stream"));
	assert_non_null(strstr(text, " seconds=0\n"));
}

/* Half of a header has been taken from the buffer, or TLS is shaking hands. */
static void
who_has_begun_is_not_silent(void **state)
{
	int server = server_listen(0), fd, begun;
	uint32_t section[24];

	(void)state;
	put_section(section);
	for (begun = 0; begun < 3; begun++) {
		new_peer();
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
		fd = server_accept(server);
		if (begun == 1) {
			assert_int_equal(write(fd, section, SECTION),
			    SECTION);
			assert_int_equal(advance(), PCAP_TCP_PROGRESS);
		}
		assert_int_equal(advance(), PCAP_TCP_WAIT);
		p->bytes->established = begun < 2;
		assert_int_equal(truncate(log_path, 0), 0);
		p->deadline = pcap_tcp_now();
		assert_int_equal(advance(), PCAP_TCP_WAIT);
		assert_int_equal(strstr(written(), "has sent nothing") != NULL,
		    !begun);
		close(fd);
	}
	close(server);
}

/* What a sanitizer would end the program for. */
static void
time_stamps_of_the_far_future(void **state)
{
	uint32_t section[24];

	(void)state;
	put_section(section);
	new_sender();
	fake_gives(fake, section, sizeof(section));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(pcap_tcp_stream_has_record(&p->stream));
	assert_true(p->stream.batch.next->h.ts.tv_sec ==
	    (time_t)INT64_MAX);
	assert_int_equal(source.records, 1);
}

/* A shorter file would end the program at its next packet. */
static void
others_can_only_look_at_a_status(void **state)
{
	struct pcap_tcp_status *s;
	char path[64];
	int fd, other;

	(void)state;
	s = pcap_tcp_status_open("a device", 2, &fd);
	assert_non_null(s);
	assert_int_not_equal(fd, -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	assert_int_not_equal(other, -1);
	assert_int_equal(ftruncate(other, 0), -1);
	assert_int_equal(write(other, "text", 4), -1);
	s->source[1].records = 5;
	close(other);
	pcap_tcp_status_close(s, fd);
}

#define LOGGED(name)	\
	cmocka_unit_test_setup_teardown(name, setup_log, teardown_log)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOGGED(a_clock_that_is_set_back),
		LOGGED(who_has_begun_is_not_silent),
		LOGGED(time_stamps_of_the_far_future),
		cmocka_unit_test(others_can_only_look_at_a_status),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
