/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-peer - one remote end: how it comes to a stream, and comes back
 */

#include <netinet/in.h>

#include "pcap-tcp-peer.h"
#include "unit-bytes.h"
#include "unit-server.h"

#define NAME	"sensor:1"
#define NEVER	PCAP_TCP_NEVER

static struct pcap_tcp_device device;
static struct pcap_tcp_events events;
static struct pcap_tcp_common common;
static struct pcap_tcp_address target;
static struct pcap_tcp_peer *p;
static struct fake *fake;
static int64_t created, before;	/* when the peer was, and its last step */

/* A header and one packet of three bytes. */
static u_char stream[FILE_HEADER + RECORD_HEADER + 3];

static int
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
	    .give_up = NEVER, .read_size = PCAP_TCP_BUFFER_SIZE };
	server_setup();
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	if (p != NULL)
		pcap_tcp_peer_free(p);
	p = NULL;
	assert_int_equal(common.extra_bytes, 0);
	assert_int_equal(open_fakes, 0);
	pcap_tcp_events_close(&events);
	server_teardown();
	return (0);
}

static void
new_sender(void)
{
	if (p != NULL)
		pcap_tcp_peer_free(p);
	fake = fake_new();
	before = pcap_tcp_now();
	p = pcap_tcp_peer_new_sender(&common, &fake->bytes, NAME, NULL);
	assert_non_null(p);
}

static void
new_peer(void)
{
	if (p != NULL)
		pcap_tcp_peer_free(p);
	created = before = pcap_tcp_now();
	target = server_address(0);
	p = pcap_tcp_peer_new(&common, &target, NULL);
	assert_non_null(p);
}

static enum pcap_tcp_progress
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
static void
assert_deadline(int64_t ms)
{
	assert_true(p->deadline >= before + ms);
	assert_true(p->deadline <= pcap_tcp_now() + ms);
}

/* The connection is given up, and why. */
static void
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

static void
a_sender_has_so_much_time(void **state)
{
	static const struct {
		int timeout, expected;	/* seconds */
	} times[] = { { -1, 10 }, { 0, 10 }, { 3, 3 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		device.timeout = times[i].timeout;
		new_sender();
		assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
		assert_string_equal(p->name, NAME);
		assert_deadline(times[i].expected * 1000);
		assert_int_equal(p->watch.fd, fake->bytes.fd);
		assert_int_equal(p->watch.watched, POLLIN);
	}
	/* But no more than the device has. */
	common.give_up = before + 1;
	new_sender();
	assert_true(p->deadline == common.give_up);
}

/* Its time begins with the first step. */
static void
a_peer_has_so_much_time(void **state)
{
	static const struct {
		int timeout;
		int64_t expected;
	} times[] = { { -1, 10000 }, { 3, 3000 } };
	int server = server_listen(0);
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		device.timeout = times[i].timeout;
		new_peer();
		assert_int_equal(p->state, PCAP_TCP_PEER_RETRYING);
		assert_true(p->deadline == 0);
		assert_int_equal(p->failed, 0);
		assert_int_equal(p->watch.fd, -1);
		assert_string_equal(p->name, target.host);
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
		assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
		assert_deadline(times[i].expected);
	}
	device.timeout = 0;
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == NEVER);
	common.give_up = pcap_tcp_now() + 1000000;
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == common.give_up);
	close(server);
	/* A TCP peer's name is its address. */
	target = (struct pcap_tcp_address){ PCAP_TCP_SCHEME_TCP, "::1", 7 };
	pcap_tcp_peer_free(p);
	p = pcap_tcp_peer_new(&common, &target, NULL);
	assert_non_null(p);
	assert_string_equal(p->name, "[::1]:7");
}

/* The header makes a stream, in whatever pieces it comes. */
static void
a_sender_comes_up_and_ends(void **state)
{
	(void)state;
	new_sender();
	fake_gives(fake, stream, FILE_HEADER - 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	fake_gives(fake, stream + FILE_HEADER - 1, 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_true(p->deadline == NEVER);
	assert_false(pcap_tcp_stream_has_record(&p->stream));
	fake_gives(fake, stream + FILE_HEADER, sizeof(stream) - FILE_HEADER);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(pcap_tcp_stream_has_record(&p->stream));
	assert_packet(p->stream.batch.next, 1, 3);
	assert_false(p->failed);
	fake_ends(fake);
	assert_over(advance(), PCAP_TCP_END, PCAP_TCP_PEER_GONE, 0,
	    "end of stream");
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_GONE);
}

/* Up to the header only, where that is all that is asked for. */
static void
decodes_no_further_than_it_is_told(void **state)
{
	(void)state;
	new_sender();
	fake_gives(fake, stream, sizeof(stream));
	assert_int_equal(pcap_tcp_peer_advance(p), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	pcap_tcp_peer_decode(p, 1);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_false(pcap_tcp_stream_has_record(&p->stream));
	pcap_tcp_peer_decode(p, 0);
	assert_true(pcap_tcp_stream_has_record(&p->stream));
}

static void
a_sender_is_gone_after_any_fault(void **state)
{
	(void)state;
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	new_sender();
	fake_ends(fake);
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ECONNRESET, NAME " closed the connection before the stream "
	    "header");
	new_sender();
	fake_gives(fake, stream, sizeof(stream) - 1);
	fake_fails(fake, ECONNRESET, NULL);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE,
	    ECONNRESET, "The other host terminated the connection.");
	new_sender();
	fake_fails(fake, EPROTO, "bad certificate");
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    EPROTO, NAME ": bad certificate");
	new_sender();
	fake_gives(fake, "SSH-2.0", 7);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE, EPROTO,
	    NAME ": not a pcap stream but an SSH server: is this the right "
	    "port?");
}

/* A handshake has to write now and then. */
static void
waits_for_what_the_bytes_want(void **state)
{
	(void)state;
	fake = fake_new();
	fake->bytes.wanted = POLLOUT;
	p = pcap_tcp_peer_new_sender(&common, &fake->bytes, NAME, NULL);
	assert_non_null(p);
	assert_int_equal(p->watch.watched, POLLOUT);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->watch.watched, POLLOUT);
	fake->bytes.wanted = POLLIN;
	fake_fails(fake, EINTR, NULL);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->watch.watched, POLLIN);
}

static void
a_sender_that_cannot_be_watched_is_none(void **state)
{
	(void)state;
	fake = fake_new();
	close(fake->bytes.fd);
	fake->bytes.fd = -1;
	assert_null(pcap_tcp_peer_new_sender(&common, &fake->bytes, NAME,
	    NULL));
	assert_int_equal(open_fakes, 0);
}

static void
one_that_sends_nothing_in_time_is_given_up(void **state)
{
	(void)state;
	new_sender();
	p->deadline = pcap_tcp_now() + 60000;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but sent no pcap stream "
	    "within 10 seconds");
	device.timeout = 3;
	new_sender();
	fake->bytes.established = 0;
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but finished no TLS "
	    "handshake within 3 seconds");
}

/* A program that stood still does not let the peer pay for that. */
static void
the_time_in_which_nobody_read_does_not_count(void **state)
{
	(void)state;
	new_sender();
	p->deadline = pcap_tcp_now() - 60000;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_deadline(10000);
	p->deadline = pcap_tcp_now();
	assert_int_equal(advance(), PCAP_TCP_UNREACHABLE);
}

/* A program that was stopped finds data and a deadline that has passed. */
static void
what_is_there_at_the_deadline_counts(void **state)
{
	(void)state;
	new_sender();
	p->deadline = 0;
	fake_gives(fake, stream, FILE_HEADER);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	/* So does an end, for what it is. */
	new_sender();
	p->deadline = 0;
	fake_ends(fake);
	assert_int_equal(advance(), PCAP_TCP_UNREACHABLE);
	assert_int_equal(p->errnum, ECONNRESET);
}

static void
give_section(void)
{
	const uint32_t section[] = { BT_SHB, 28, BYTE_ORDER_MAGIC, 0, ~0U, ~0U,
	    28 };
	u_char bytes[sizeof(section)];
	const uint16_t one = 1;

	memcpy(bytes, section, sizeof(bytes));
	memcpy(bytes + 12, &one, sizeof(one));
	fake_gives(fake, bytes, sizeof(bytes));
}

/* No interface, no link type: a section header alone is no stream. */
static void
blocks_without_an_interface_are_not_read_for_ever(void **state)
{
	const uint32_t too_short[] = { 1, 4, 0, 0 };
	int i;

	(void)state;
	new_sender();
	give_section();
	give_section();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_false(p->stream.decoder.failed);
	p->deadline = pcap_tcp_now();
	/* Those that are in the socket are no reason, but one after another. */
	for (i = 0; i < 64; i++) {
		give_section();
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	}
	give_section();
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " took the connection but sent no pcap stream "
	    "within 10 seconds");
	/* What is wrong with them is worth more than that. */
	new_sender();
	give_section();
	fake_gives(fake, too_short, sizeof(too_short));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->stream.decoder.failed);
	p->deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_FAILED);
	assert_int_equal(p->errnum, EPROTO);
}

/* Brings it up, with the start of a packet longer than the buffer. */
static void
give_long(uint32_t caplen)
{
	u_char start[FILE_HEADER + RECORD_HEADER];
	size_t n = put_file_header(start, 0x7fffffff, LINKTYPE_DBUS);

	put_record_header(start + n, 1, 0, caplen);
	fake_gives(fake, start, sizeof(start));
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_true(p->deadline == NEVER);
}

static void
a_sender_may_not_hold_a_long_record_back(void **state)
{
	u_char *rest = calloc(1, PCAP_TCP_BUFFER_SIZE);
	int64_t deadline;

	(void)state;
	assert_non_null(rest);
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_deadline(10000);
	assert_true(p->extension_left);
	/* More bytes of it put nothing off. */
	deadline = p->deadline += 5000;
	fake_gives(fake, rest, 1);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == deadline);
	/* The program may have been stopped for that long: once more. */
	p->deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_deadline(10000);
	assert_false(p->extension_left);
	p->deadline = pcap_tcp_now();
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_GONE,
	    ETIMEDOUT, NAME " sent no whole record within 10 seconds");
	/* The whole of it takes the deadline back. */
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	fake_gives(fake, rest, PCAP_TCP_BUFFER_SIZE);
	while (!pcap_tcp_stream_has_record(&p->stream))
		assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_true(p->deadline == NEVER);
	assert_int_equal(common.extra_bytes, PCAP_TCP_BUFFER_SIZE);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(common.extra_bytes, 0);
	assert_true(p->deadline == NEVER);
	/* One that the buffer holds may take its time. */
	new_sender();
	give_long(PCAP_TCP_BUFFER_SIZE - RECORD_HEADER);
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_true(p->deadline == NEVER);
	free(rest);
}

/* Somewhat sooner than after so many ms, and not before that is over. */
static void
assert_backoff(int64_t ms)
{
	assert_int_equal(p->state, PCAP_TCP_PEER_RETRYING);
	assert_true(p->deadline > before + ms - ms / 4);
	assert_true(p->deadline <= pcap_tcp_now() + ms);
	p->deadline = pcap_tcp_now() + 60000;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_RETRYING);
	p->deadline = 0;
}

static void
a_peer_that_nobody_reaches_is_tried_less_and_less_often(void **state)
{
	static const int64_t backoffs[] = { 1000, 2000, 4000, 8000, 16000,
	    30000, 30000, 30000 };
	char text[PCAP_ERRBUF_SIZE];
	size_t i;

	(void)state;
	new_peer();
	snprintf(text, sizeof(text), "cannot connect to %s: %s",
	    target.host, strerror(ENOENT));
	for (i = 0; i + 1 < sizeof(backoffs) / sizeof(backoffs[0]); i++) {
		assert_over(advance(), PCAP_TCP_UNREACHABLE,
		    PCAP_TCP_PEER_RETRYING, ENOENT, text);
		assert_int_equal(p->backoff, backoffs[i + 1]);
		assert_backoff(backoffs[i]);
	}
}

static void
without_reconnect_there_is_one_attempt(void **state)
{
	char text[PCAP_ERRBUF_SIZE];

	(void)state;
	device.reconnect = PCAP_TCP_RECONNECT_NO;
	new_peer();
	snprintf(text, sizeof(text), "cannot connect to %s: %s",
	    target.host, strerror(ENOENT));
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_GONE,
	    ENOENT, text);
	p->deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_GONE);
}

/* Goes on until the peer has read something; returns the server's end. */
static int
be_served(int server, size_t len)
{
	int fd;

	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_non_null(p->bytes);
	fd = server_accept(server);
	assert_int_equal(write(fd, stream, len), len);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(p->state, PCAP_TCP_PEER_UP);
	assert_true(p->deadline == NEVER);
	return (fd);
}

static void
a_peer_comes_back_soon_if_it_had_a_record(void **state)
{
	int server = server_listen(0), fd;

	(void)state;
	new_peer();
	/* A header alone is no proof that the server works. */
	fd = be_served(server, FILE_HEADER);
	close(fd);
	assert_over(advance(), PCAP_TCP_END, PCAP_TCP_PEER_RETRYING, 0,
	    "end of stream");
	assert_backoff(1000);
	fd = be_served(server, FILE_HEADER + 1);
	close(fd);
	assert_over(advance(), PCAP_TCP_FAILED, PCAP_TCP_PEER_RETRYING,
	    ECONNRESET, "The other host terminated the connection.");
	assert_backoff(2000);
	fd = be_served(server, sizeof(stream));
	close(fd);
	assert_int_equal(advance(), PCAP_TCP_END);
	assert_backoff(1000);
	fd = be_served(server, FILE_HEADER);
	close(fd);
	assert_int_equal(advance(), PCAP_TCP_END);
	assert_backoff(2000);
	close(server);
}

/* It is ours to choose, and has no limits. */
static void
a_peer_may_send_long_records_slowly(void **state)
{
	const uint32_t caplen = PCAP_TCP_BUFFER_SIZE;
	int server = server_listen(0), fd;
	u_char *buf = malloc(FILE_HEADER + RECORD_HEADER + caplen);
	size_t n = 0, len;
	ssize_t written;

	(void)state;
	assert_non_null(buf);
	len = put_file_header(buf, 0x7fffffff, LINKTYPE_DBUS);
	len += put_packet(buf + len, 1, caplen);
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	fd = server_accept(server);
	while (n < len || !pcap_tcp_stream_has_record(&p->stream)) {
		written = write(fd, buf + n, len - n);
		if (written > 0)
			n += (size_t)written;
		(void)advance();
		assert_true(p->deadline == NEVER ||
		    !p->stream.decoder.started);
	}
	assert_packet(p->stream.batch.next, 1, caplen);
	assert_true(p->deadline == NEVER);
	assert_int_equal(common.extra_bytes, 0);
	free(buf);
	close(fd);
	close(server);
}

/* A Unix socket whose backlog is full is tried again soon. */
static void
a_full_backlog_is_waited_for(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server = server_listen(0), others[16], n, i;

	(void)state;
	strcpy(address.sun_path, server_path[0]);
	for (n = 0; n < 16; n++) {
		others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(others[n], (struct sockaddr *)&address,
		    sizeof(address)) == -1)
			break;
	}
	assert_in_range(n, 1, 15);
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->state, PCAP_TCP_PEER_TRYING);
	assert_deadline(100);
	close(server_accept(server));
	p->dial.deadline = 0;
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_non_null(p->bytes);
	/* The stream has what is left of the attempt. */
	before = created;
	assert_deadline(10000);
	for (i = 0; i <= n; i++)
		close(others[i]);
	close(server);
}

/* Whoever else has the connection from a fork() sees only the former. */
static void
hangs_up_and_frees_without_a_word(void **state)
{
	int server = server_listen(0), fd, other;
	char byte;

	(void)state;
	new_peer();
	fd = be_served(server, FILE_HEADER);
	other = dup(p->bytes->fd);
	pcap_tcp_peer_free(p);
	p = NULL;
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(other);
	close(fd);
	new_peer();
	fd = be_served(server, FILE_HEADER);
	other = dup(p->bytes->fd);
	assert_int_equal(write(fd, "?", 1), 1);
	shutdown(fd, SHUT_WR);
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	assert_int_equal(advance(), PCAP_TCP_FAILED);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(other);
	close(fd);
	close(server);
}

static void
a_silent_tcp_server_may_speak_tls(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0);
	char text[PCAP_ERRBUF_SIZE];

	(void)state;
	device.timeout = 7;
	assert_int_equal(bind(server, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address,
	    &len), 0);
	target = (struct pcap_tcp_address){ PCAP_TCP_SCHEME_TCP, "127.0.0.1",
	    ntohs(address.sin_port) };
	p = pcap_tcp_peer_new(&common, &target, NULL);
	assert_non_null(p);
	while (p->bytes == NULL) {
		if (advance() == PCAP_TCP_WAIT)
			assert_int_equal(poll(&(struct pollfd){ p->watch.fd,
			    p->watch.wanted, 0 }, 1, -1), 1);
	}
	assert_int_equal(advance(), PCAP_TCP_WAIT);
	assert_int_equal(p->watch.watched, POLLIN);
	p->deadline = pcap_tcp_now();
	snprintf(text, sizeof(text), "%s took the connection but sent no pcap "
	    "stream within 7 seconds (a TLS server needs tls:)", p->name);
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_RETRYING,
	    ETIMEDOUT, text);
	close(server);
	/* A Unix socket has no TLS to speak. */
	server = server_listen(0);
	new_peer();
	assert_int_equal(advance(), PCAP_TCP_PROGRESS);
	before = created;
	assert_deadline(7000);
	p->deadline = pcap_tcp_now();
	snprintf(text, sizeof(text), "%s took the connection but sent no pcap "
	    "stream within 7 seconds", p->name);
	assert_over(advance(), PCAP_TCP_UNREACHABLE, PCAP_TCP_PEER_RETRYING,
	    ETIMEDOUT, text);
	close(server);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sender_has_so_much_time),
		TEST(a_peer_has_so_much_time),
		TEST(a_sender_comes_up_and_ends),
		TEST(decodes_no_further_than_it_is_told),
		TEST(a_sender_is_gone_after_any_fault),
		TEST(waits_for_what_the_bytes_want),
		TEST(a_sender_that_cannot_be_watched_is_none),
		TEST(one_that_sends_nothing_in_time_is_given_up),
		TEST(what_is_there_at_the_deadline_counts),
		TEST(the_time_in_which_nobody_read_does_not_count),
		TEST(blocks_without_an_interface_are_not_read_for_ever),
		TEST(a_sender_may_not_hold_a_long_record_back),
		TEST(a_peer_that_nobody_reaches_is_tried_less_and_less_often),
		TEST(without_reconnect_there_is_one_attempt),
		TEST(a_peer_comes_back_soon_if_it_had_a_record),
		TEST(a_peer_may_send_long_records_slowly),
		TEST(a_full_backlog_is_waited_for),
		TEST(hangs_up_and_frees_without_a_word),
		TEST(a_silent_tcp_server_may_speak_tls),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
