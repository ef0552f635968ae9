/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-peer-retry - one remote end that is not there, and how it comes back
 */

#include <netinet/in.h>

#include "unit-peer.h"

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
	assert_int_equal(common.bytes_left, PCAP_TCP_BUFFER_SIZE);
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
	p = pcap_tcp_peer_new(&common, &source, &target, NULL);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
