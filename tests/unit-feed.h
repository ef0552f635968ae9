/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-feed.h - a feed, and what the unit tests of it ask of it
 */

#include "pcap-tcp-feed.h"
#include "unit-bytes.h"
#include "unit-server.h"

#define NEVER	PCAP_TCP_NEVER
#define PATIENT	(60 * 60 * 1000)	/* ms: longer than any test takes */

static struct pcap_tcp_device device;
static struct pcap_tcp_events events;
static struct pcap_tcp_common common;
static struct pcap_tcp_feed feed;
static size_t bytes_left;	/* of the senders' memory, without any */
static char errbuf[PCAP_ERRBUF_SIZE];
static volatile sig_atomic_t stop;

/* The seconds of what was handed out, and how often it came from another. */
static uint32_t taken[8192];
static unsigned int ntaken, nruns;

static inline int
setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	device.timeout = -1;
	device.keepalive = 30;
	pcap_tcp_events_init(&events);
	assert_int_equal(pcap_tcp_events_open(&events), 0);
	common = (struct pcap_tcp_common){ .device = &device, .name = "unit",
	    .events = &events, .decoding = { .linktypes = &linktypes,
	    .precision = PCAP_TSTAMP_PRECISION_MICRO, .dlt = -1 },
	    .give_up = NEVER };
	errbuf[0] = '\0';
	stop = 0;
	ntaken = nruns = 0;
	server_setup();
	return (0);
}

static inline int
teardown(void **state)
{
	(void)state;
	pcap_tcp_feed_close(&feed);
	assert_int_equal(feed.peers.common.bytes_left, bytes_left);
	assert_int_equal(open_fakes, 0);
	pcap_tcp_events_close(&events);
	server_teardown();
	return (0);
}

static inline void
open_feed(int hold)
{
	assert_int_equal(pcap_tcp_feed_open(&feed, &common, hold, errbuf), 0);
	bytes_left = feed.peers.common.bytes_left;
	assert_int_equal(pcap_tcp_feed_begin(&feed), 0);
}

/* Starts the feed with so many Unix sockets of ours to connect to. */
static inline void
open_servers(unsigned int n, int *server)
{
	unsigned int i;

	device.nsources = n;
	for (i = 0; i < n; i++) {
		server[i] = server_listen((int)i);
		device.source[i] = server_address((int)i);
	}
	open_feed(PATIENT);
}

static inline struct fake *
add_sender(const char *name)
{
	struct fake *f = fake_new();

	pcap_tcp_peers_add_sender(&feed.peers, &f->bytes, name, NULL);
	return (f);
}

static inline void
give_header(struct fake *f, uint32_t linktype)
{
	u_char header[FILE_HEADER];

	fake_gives(f, header, put_file_header(header, 65535, linktype));
}

/* A packet of three bytes. */
static inline void
give_packet(struct fake *f, uint32_t sec)
{
	u_char packet[RECORD_HEADER + 3];

	fake_gives(f, packet, put_packet(packet, sec, 3));
}

static inline struct fake *
add_stream(const char *name)
{
	struct fake *f = add_sender(name);

	give_header(f, 1);
	return (f);
}

/* Reads the headers of those that were added, and opens. */
static inline void
start(void)
{
	while (feed.opened == 0 &&
	    pcap_tcp_feed_advance(&feed) == PCAP_TCP_PROGRESS)
		;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static inline void
take_all(void)
{
	struct pcap_tcp_batch run;

	while (pcap_tcp_feed_next(&feed, &run)) {
		assert_true(run.next < run.end);
		nruns++;
		for (; run.next != run.end; run.next++) {
			assert_true(ntaken < sizeof(taken) / sizeof(taken[0]));
			assert_packet(run.next,
			    (uint32_t)run.next->h.ts.tv_sec, 3);
			taken[ntaken++] = (uint32_t)run.next->h.ts.tv_sec;
		}
	}
}

/* Looks who has something, and goes on with them. */
static inline enum pcap_tcp_progress
look(void)
{
	assert_true(pcap_tcp_feed_wait(&feed, -1, 0) != -1);
	return (pcap_tcp_feed_advance(&feed));
}

/*
 * Looks who has something and takes what there is, until there is nothing for
 * now, or the end.
 */
static inline enum pcap_tcp_progress
run_feed(void)
{
	enum pcap_tcp_progress progress;

	assert_true(pcap_tcp_feed_wait(&feed, -1, 0) != -1);
	do {
		take_all();
		progress = pcap_tcp_feed_advance(&feed);
		if (!feed.is_open && feed.opened != 0)
			pcap_tcp_feed_start(&feed);
	} while (progress == PCAP_TCP_PROGRESS);
	take_all();
	assert_int_equal(feed.received, ntaken);
	return (progress);
}

static inline void
assert_taken(const uint32_t *expected, unsigned int n)
{
	unsigned int i;

	assert_int_equal(ntaken, n);
	for (i = 0; i < n; i++)
		assert_int_equal(taken[i], expected[i]);
}

/* A question changes nothing: not the feed, not a peer, and reads nothing. */
static inline int64_t
deadline(void)
{
	static struct pcap_tcp_feed feed_before;
	static struct pcap_tcp_peer before[PCAP_TCP_MAX_PEERS];
	const struct pcap_tcp_peers *m = &feed.peers;
	unsigned int i;
	int64_t answer;

	memcpy(&feed_before, &feed, sizeof(feed));
	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL)
			memcpy(&before[i], m->peer[i], sizeof(before[i]));
	}
	answer = pcap_tcp_feed_deadline(&feed);
	assert_true(pcap_tcp_feed_deadline(&feed) == answer);
	assert_memory_equal(&feed_before, &feed, sizeof(feed));
	for (i = 0; i < m->nslots; i++) {
		if (m->peer[i] != NULL)
			assert_memory_equal(&before[i], m->peer[i],
			    sizeof(before[i]));
	}
	return (answer);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
