/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-feed-ends - when a device is open, and which end or fault it tells
 */

#include <netinet/in.h>

#include "unit-feed.h"

#define CUT_OFF	"The other host terminated the connection."

static void
waiting_for_a_stream_can_be_stopped(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fds[2];

	(void)state;
	open_servers(1, server);
	stop = 1;
	errno = 0;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	snprintf(text, sizeof(text), "interrupted while waiting for %s",
	    server_path[0]);
	assert_string_equal(errbuf, text);
	close(server[0]);
	pcap_tcp_feed_close(&feed);
	unlink(server_path[0]);
	open_servers(2, server);
	stop = 0;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	errno = 0;
	assert_int_equal(pcap_tcp_feed_await(&feed, fds[0], &stop), -1);
	assert_int_equal(errno, EINTR);
	assert_string_equal(errbuf,
	    "interrupted while waiting for a pcap stream");
	close(fds[0]);
	close(fds[1]);
	close(server[0]);
	close(server[1]);
}

/* Without a listener, and with nobody to connect to, there is no stream. */
static void
is_refused_for_the_last_senders_reason(void **state)
{
	struct fake *f;

	(void)state;
	device.timeout = 3;
	open_feed(PATIENT);
	f = add_sender("a");
	fake_gives(f, "BZh91AY", 7);
	while (pcap_tcp_feed_advance(&feed) == PCAP_TCP_PROGRESS)
		;
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_string_equal(errbuf, "no sender sent a pcap stream within 3 "
	    "seconds; the last, a: not a pcap stream but bzip2: decompress at "
	    "the sender");
}

static void
is_refused_for_the_peers_reason(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server, fd;

	(void)state;
	open_servers(1, &server);
	(void)look();
	fd = server_accept(server);
	assert_int_equal(write(fd, "SSH-2.0", 7), 7);
	assert_int_equal(look(), PCAP_TCP_PROGRESS);
	assert_int_equal(look(), PCAP_TCP_FAILED);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(feed.opened, -1);
	snprintf(text, sizeof(text), "%s: not a pcap stream but an SSH "
	    "server: is this the right port?", server_path[0]);
	assert_string_equal(errbuf, text);
	close(fd);
	close(server);
}

/* An attempt that fails is the last one, unless the device says otherwise. */
static void
who_may_still_come_is_waited_for(void **state)
{
	(void)state;
	device.nsources = 1;
	device.source[0] = server_address(0);
	open_feed(PATIENT);
	(void)look();
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ENOENT);
	pcap_tcp_feed_close(&feed);
	stop = 1;
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	open_feed(PATIENT);
	(void)look();
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	pcap_tcp_feed_close(&feed);
	device.source[0] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EINTR);
	/* But no sender, once there is a stream. */
	(void)add_stream("a");
	(void)add_sender("b");
	(void)look();
	pcap_tcp_events_wake(&events);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static void
a_sender_of_another_link_type_goes(void **state)
{
	struct fake *f;

	(void)state;
	open_feed(PATIENT);
	(void)add_stream("a");
	f = add_sender("b");
	give_header(f, 101);
	start();
	assert_int_equal(feed.peers.common.decoding.dlt, 1);
	assert_int_equal(feed.peers.nsenders, 1);
	assert_null(feed.peers.peer[1]);
	/* And so does one that comes later. */
	f = add_sender("c");
	give_header(f, 101);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, 1);
	assert_string_equal(feed.fault, "c: the link type is RAW, the "
	    "device's is 1 (linktype=EN10MB takes both) (at byte 0 of the "
	    "stream)");
}

/* Connects to a server, which sends a header. */
static int
connect_server(int server, uint32_t linktype)
{
	u_char header[FILE_HEADER];
	int fd;

	(void)look();
	fd = server_accept(server);
	assert_int_equal(write(fd, header, put_file_header(header, 65535,
	    linktype)), FILE_HEADER);
	return (fd);
}

static void
refuse_peers(uint32_t linktype, const char *what)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fd[2];

	open_servers(2, server);
	fd[0] = connect_server(server[0], linktype);
	fd[1] = connect_server(server[1], 101);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, EPROTO);
	snprintf(text, sizeof(text), "%s sends an unknown link type, %s RAW: "
	    "%s", server_path[0], server_path[1], what);
	assert_string_equal(errbuf, text);
	close(fd[0]);
	close(fd[1]);
	close(server[0]);
	close(server[1]);
}

static void
peers_of_two_link_types_are_refused(void **state)
{
	(void)state;
	refuse_peers(1, "linktype=EN10MB takes both");
}

static void
nor_can_all_become_one(void **state)
{
	(void)state;
	refuse_peers(189, "the sources of a device need one link type");
}

static void
start_servers(unsigned int n, int *server, int *fd)
{
	unsigned int i;

	open_servers(n, server);
	for (i = 0; i < n; i++)
		fd[i] = connect_server(server[i], 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
}

static void
send_packet(int fd, uint32_t sec)
{
	u_char packet[RECORD_HEADER + 3];
	size_t n = put_packet(packet, sec, 3);

	assert_int_equal(write(fd, packet, n), n);
}

/* There is an end, and no other one. */
static enum pcap_tcp_progress
run_to_end(void)
{
	enum pcap_tcp_progress progress = run_feed();

	assert_int_not_equal(progress, PCAP_TCP_WAIT);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	return (progress);
}

static void
one_peer_ends_or_fails(void **state)
{
	int server, fd;

	(void)state;
	start_servers(1, &server, &fd);
	send_packet(fd, 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	assert_int_equal(ntaken, 1);
	/* It is back, and is cut off. */
	feed.peers.peer[0]->deadline = 0;
	fd = connect_server(server, 1);
	assert_int_equal(write(fd, "?", 1), 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, CUT_OFF);
	close(server);
}

static void
the_end_comes_once_after_the_last_stream(void **state)
{
	static const uint32_t expected[] = { 1, 2 };
	int server[2], fd[2];

	(void)state;
	start_servers(2, server, fd);
	send_packet(fd[0], 1);
	send_packet(fd[1], 2);
	close(fd[0]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
	close(fd[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	close(server[0]);
	close(server[1]);
}

/* Whichever of the two comes first; with its name, as there are others. */
static void
a_fault_comes_once_after_the_last_stream(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];
	int server[2], fd[2], i, other;

	(void)state;
	start_servers(2, server, fd);
	for (i = 0; i < 2; i++) {
		other = !i;
		assert_int_equal(write(fd[i], "?", 1), 1);
		close(fd[i]);
		if (i == 0)
			assert_int_equal(run_feed(), PCAP_TCP_WAIT);
		close(fd[other]);
		snprintf(text, sizeof(text), "%s: " CUT_OFF, server_path[i]);
		assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
		assert_string_equal(errbuf, text);
		/* That was all. */
		feed.peers.peer[0]->deadline = 0;
		feed.peers.peer[1]->deadline = 0;
		fd[0] = connect_server(server[0], 1);
		fd[1] = connect_server(server[1], 1);
		assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	}
	/* A fault of one that has come back is no news. */
	assert_int_equal(write(fd[0], "?", 1), 1);
	close(fd[0]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_RETRYING);
	feed.peers.peer[0]->deadline = 0;
	fd[0] = connect_server(server[0], 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	close(server[0]);
	close(server[1]);
}

/* Of two faults the first one; a name that is in the text is enough. */
static void
the_first_fault_is_told_and_forgotten(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE], damage[RECORD_HEADER];
	int server[2], fd[2];

	(void)state;
	start_servers(2, server, fd);
	memset(damage, 0xff, sizeof(damage));
	assert_int_equal(write(fd[1], damage, sizeof(damage)),
	    sizeof(damage));
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(write(fd[0], "?", 1), 1);
	close(fd[0]);
	close(fd[1]);
	snprintf(text, sizeof(text), "Is the server properly installed? %s: "
	    "invalid packet capture length 4294967295, bigger than maximum of "
	    "262144 (at byte 24 of the stream)", server_path[1]);
	assert_int_equal(run_to_end(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, text);
	/* The other one comes back and ends. */
	feed.peers.peer[0]->deadline = 0;
	fd[0] = connect_server(server[0], 1);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	close(fd[0]);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_string_equal(errbuf, "end of stream");
	close(server[0]);
	close(server[1]);
}

/* A device that opens without a stream: the first attempt may be the last. */
static void
the_only_attempt_fails_once(void **state)
{
	char text[2 * PCAP_ERRBUF_SIZE];

	(void)state;
	common.decoding.dlt = 1;
	device.nsources = 1;
	device.source[0] = server_address(0);
	device.reconnect = PCAP_TCP_RECONNECT_NO;
	open_feed(PATIENT);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), -1);
	assert_int_equal(errno, ENOENT);
	pcap_tcp_feed_close(&feed);
	open_feed(PATIENT);
	assert_int_equal(run_feed(), PCAP_TCP_FAILED);
	snprintf(text, sizeof(text), "cannot connect to %s: %s",
	    server_path[0], strerror(ENOENT));
	assert_string_equal(errbuf, text);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == NEVER);
	pcap_tcp_feed_close(&feed);
	/* With others to come, it is told, too. */
	device.reconnect = PCAP_TCP_RECONNECT_AFTER_REPORT;
	open_feed(PATIENT);
	assert_int_equal(run_feed(), PCAP_TCP_FAILED);
	assert_string_equal(errbuf, text);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == feed.peers.peer[0]->deadline);
	pcap_tcp_feed_close(&feed);
	/* Unless nothing is. */
	device.reconnect = PCAP_TCP_RECONNECT_YES;
	open_feed(PATIENT);
	feed.peers.opening.give_up = feed.peers.common.give_up = 0;
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_true(deadline() == feed.peers.peer[0]->deadline);
}

/* One that could not be had before that is no fault of the stream. */
static void
what_opening_did_without_is_no_fault(void **state)
{
	int server, fd;

	(void)state;
	device.reconnect = PCAP_TCP_RECONNECT_NO;
	device.nsources = 2;
	device.source[0] = server_address(0);
	device.source[1] = server_address(1);
	server = server_listen(1);
	open_feed(PATIENT);
	fd = connect_server(server, 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_GONE);
	send_packet(fd, 1);
	close(fd);
	assert_int_equal(run_to_end(), PCAP_TCP_END);
	assert_int_equal(ntaken, 1);
	close(server);
}

/* Connects to the only listener's port. */
static int
connect_sender(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(getsockname(feed.peers.listeners->watch.fd,
	    (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	return (fd);
}

static void
excess_senders_stay_in_the_backlog(void **state)
{
	struct fake *f[PCAP_TCP_MAX_SENDERS];
	struct pcap_tcp_listener *l;
	int fd[2];
	unsigned int i;

	(void)state;
	device.nsources = 1;
	device.source[0] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	l = feed.peers.listeners;
	assert_non_null(l);
	assert_null(l->next);
	for (i = 1; i < PCAP_TCP_MAX_SENDERS; i++)
		f[i] = add_stream("x");
	start();
	fd[0] = connect_sender();
	fd[1] = connect_sender();
	assert_int_equal(pcap_tcp_feed_wait(&feed, -1, NEVER),
	    PCAP_TCP_EVENT_WATCH);
	assert_int_equal(pcap_tcp_feed_advance(&feed), PCAP_TCP_PROGRESS);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS);
	assert_true(l->paused_until != 0);
	assert_true(deadline() == l->paused_until);
	/* A slot is free, but the listener pauses. */
	fake_ends(f[1]);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS - 1);
	l->paused_until = 1;
	assert_true(deadline() == 1);
	(void)pcap_tcp_feed_wait(&feed, -1, NEVER);
	assert_int_equal(l->paused_until, 0);
	(void)pcap_tcp_feed_wait(&feed, -1, NEVER);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, PCAP_TCP_MAX_SENDERS);
	close(fd[0]);
	close(fd[1]);
}

/* Senders may come any time: then there is no end to report. */
static void
a_listener_has_no_end(void **state)
{
	static const uint32_t expected[] = { 1, 2 };
	struct fake *f;
	int server, fd;

	(void)state;
	device.nsources = 2;
	server = server_listen(0);
	device.source[0] = server_address(0);
	device.source[1] = (struct pcap_tcp_address){
	    PCAP_TCP_SCHEME_TCP_LISTEN, "127.0.0.1", 0 };
	open_feed(PATIENT);
	fd = connect_server(server, 1);
	assert_int_equal(pcap_tcp_feed_await(&feed, -1, &stop), 0);
	pcap_tcp_feed_start(&feed);
	f = add_stream("a");
	give_packet(f, 1);
	send_packet(fd, 2);
	fake_ends(f);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_int_equal(feed.peers.nsenders, 0);
	assert_int_equal(write(fd, "?", 1), 1);
	close(fd);
	assert_int_equal(run_feed(), PCAP_TCP_WAIT);
	assert_taken(expected, 2);
	assert_true(feed.peers.peer[0]->state == PCAP_TCP_PEER_RETRYING);
	assert_string_equal(errbuf, "");
	close(server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waiting_for_a_stream_can_be_stopped),
		TEST(is_refused_for_the_last_senders_reason),
		TEST(is_refused_for_the_peers_reason),
		TEST(who_may_still_come_is_waited_for),
		TEST(a_sender_of_another_link_type_goes),
		TEST(peers_of_two_link_types_are_refused),
		TEST(nor_can_all_become_one),
		TEST(one_peer_ends_or_fails),
		TEST(the_end_comes_once_after_the_last_stream),
		TEST(a_fault_comes_once_after_the_last_stream),
		TEST(the_first_fault_is_told_and_forgotten),
		TEST(the_only_attempt_fails_once),
		TEST(what_opening_did_without_is_no_fault),
		TEST(excess_senders_stay_in_the_backlog),
		TEST(a_listener_has_no_end),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
