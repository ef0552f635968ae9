/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-peer.h - one remote end, and what its unit tests ask of it
 */

#include "pcap-tcp-peer.h"
#include "unit-bytes.h"
#include "unit-server.h"

#define NAME	"sensor:1"
#define NEVER	PCAP_TCP_NEVER

static struct pcap_tcp_device device;
static struct pcap_tcp_events events;
static struct pcap_tcp_common common;
static struct pcap_tcp_address target;
static struct pcap_tcp_source source;
static struct pcap_tcp_peer *p;
static struct fake *fake;
static int64_t created, before;	/* when the peer was, and its last step */

/* A header and one packet of three bytes. */
static u_char stream[FILE_HEADER + RECORD_HEADER + 3];

static inline int
setup(void **state)
{
	size_t n = put_file_header(stream, 65535, 1);

	(void)state;
	put_packet(stream + n, 1, 3);
	device.timeout = -1;
	device.keepalive = 30;
	device.reconnect = PCAP_TCP_RECONNECT_AFTER_REPORT;
	pcap_tcp_events_init(&events);
	assert_int_equal(pcap_tcp_events_open(&events), 0);
	common = (struct pcap_tcp_common){ .device = &device,
	    .events = &events, .decoding = { .linktypes = &linktypes,
	    .precision = PCAP_TSTAMP_PRECISION_MICRO, .dlt = -1 },
	    .give_up = NEVER, .read_size = PCAP_TCP_BUFFER_SIZE,
	    .bytes_left = PCAP_TCP_BUFFER_SIZE };
	server_setup();
	return (0);
}

static inline int
teardown(void **state)
{
	(void)state;
	if (p != NULL)
		pcap_tcp_peer_free(p);
	p = NULL;
	assert_int_equal(common.bytes_left, PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(open_fakes, 0);
	pcap_tcp_events_close(&events);
	server_teardown();
	return (0);
}

static inline void
new_sender(void)
{
	if (p != NULL)
		pcap_tcp_peer_free(p);
	fake = fake_new();
	before = pcap_tcp_now();
	p = pcap_tcp_peer_new_sender(&common, &source, &fake->bytes, NAME,
	    NULL);
	assert_non_null(p);
}

static inline void
new_peer(void)
{
	if (p != NULL)
		pcap_tcp_peer_free(p);
	created = before = pcap_tcp_now();
	target = server_address(0);
	p = pcap_tcp_peer_new(&common, &source, &target, NULL);
	assert_non_null(p);
}

static inline enum pcap_tcp_progress
advance(void)
{
	enum pcap_tcp_progress progress;

	before = pcap_tcp_now();
	progress = pcap_tcp_peer_advance(p);
	assert_int_equal(p->watch.waiting, progress == PCAP_TCP_WAIT);
	if (progress == PCAP_TCP_PROGRESS)
		pcap_tcp_peer_decode(p, 0);
	return (progress);
}

/* The deadline is so many ms after the last step. */
static inline void
assert_deadline(int64_t ms)
{
	assert_true(p->deadline >= before + ms);
	assert_true(p->deadline <= pcap_tcp_now() + ms);
}

/* The connection is given up, and why. */
static inline void
assert_over(enum pcap_tcp_progress progress, enum pcap_tcp_progress expected,
    enum pcap_tcp_peer_state state, int errnum, const char *error)
{
	assert_int_equal(progress, expected);
	assert_int_equal(p->state, state);
	assert_true(p->failed);
	assert_int_equal(p->errnum, errnum);
	assert_string_equal(p->error, error);
	assert_null(p->bytes);
	assert_int_equal(p->watch.fd, -1);
	assert_int_equal(open_fakes, 0);
	assert_false(p->stream.decoder.started);
	assert_false(pcap_tcp_stream_pending(&p->stream));
	if (state == PCAP_TCP_PEER_GONE)
		assert_true(p->deadline == NEVER);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
