/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-listener - the ports that senders connect to
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "pcap-tcp-listener.h"

static struct pcap_tcp_events events;
static struct pcap_tcp_listener *list;
static char errbuf[256];

static int
setup(void **state)
{
	(void)state;
	pcap_tcp_events_init(&events);
	return (pcap_tcp_events_open(&events));
}

static int
teardown(void **state)
{
	(void)state;
	pcap_tcp_listener_close(list);
	list = NULL;
	pcap_tcp_events_close(&events);
	return (0);
}

static struct pcap_tcp_address address;

/* Port 0: any that is free. */
static int
open_at(const char *host, unsigned short port)
{
	address = (struct pcap_tcp_address){ PCAP_TCP_SCHEME_TCP_LISTEN, host,
	    port };
	errbuf[0] = '\0';
	return (pcap_tcp_listener_open(&list, &address, &events, errbuf,
	    sizeof(errbuf)));
}

static struct sockaddr_storage
own_address(int fd)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);

	memset(&own, 0, sizeof(own));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	return (own);
}

static unsigned short
own_port(int fd)
{
	struct sockaddr_storage own = own_address(fd);

	/* It stands at the same place in both families. */
	return (ntohs(((struct sockaddr_in *)&own)->sin_port));
}

/* A sender that connects to what was opened at 127.0.0.1. */
static int
sender(void)
{
	struct sockaddr_storage to = own_address(list->watch.fd);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to,
	    sizeof(struct sockaddr_in)), 0);
	return (fd);
}

static int
is_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return (poll(&pfd, 1, 0));
}

/* Has the machine this loopback address? */
static int
has_ipv6(void)
{
	struct sockaddr_in6 loopback = { .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	int has = fd != -1 && bind(fd, (struct sockaddr *)&loopback,
	    sizeof(loopback)) == 0;

	if (fd != -1)
		close(fd);
	return (has);
}

static unsigned int
count(void)
{
	const struct pcap_tcp_listener *l;
	unsigned int n = 0;

	for (l = list; l != NULL; l = l->next)
		n++;
	return (n);
}

static void
loopback_has_two_addresses(void **state)
{
	static const char *const hosts[] = { NULL, "localhost", "LocalHost" };
	const struct pcap_tcp_listener *l;
	struct sockaddr_storage own;
	size_t i;
	int families;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		assert_int_equal(open_at(hosts[i], 0), 0);
		assert_int_equal(count(), has_ipv6() ? 2 : 1);
		families = 0;
		for (l = list; l != NULL; l = l->next) {
			own = own_address(l->watch.fd);
			families |= 1 << own.ss_family;
			if (own.ss_family == AF_INET)
				assert_int_equal(htonl(INADDR_LOOPBACK),
				    ((struct sockaddr_in *)&own)->
				    sin_addr.s_addr);
			else
				assert_true(IN6_IS_ADDR_LOOPBACK(
				    &((struct sockaddr_in6 *)&own)->
				    sin6_addr));
			assert_ptr_equal(l->address, &address);
			assert_int_equal(l->watch.watched, POLLIN);
			assert_true(l->watch.waiting);
			assert_string_equal(errbuf, "");
		}
		assert_int_equal(families, (has_ipv6() ? 1 << AF_INET6 : 0) |
		    1 << AF_INET);
		pcap_tcp_listener_close(list);
		list = NULL;
	}
}

/* What is opened is put in front of what is there. */
static void
one_list_has_them_all(void **state)
{
	struct pcap_tcp_listener *first;

	(void)state;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	first = list;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	assert_int_equal(count(), 2);
	assert_ptr_equal(list->next, first);
	assert_int_not_equal(own_port(list->watch.fd),
	    own_port(first->watch.fd));
}

static void
says_why_it_cannot(void **state)
{
	char text[256];
	unsigned short port;
	unsigned int n;

	(void)state;
	assert_int_equal(open_at("sensor.example", 57012), -1);
	assert_int_equal(errno, EINVAL);
	assert_string_equal(errbuf, "cannot listen on sensor.example:57012: "
	    "expected an address of this machine, or 0.0.0.0 or [::] for all");
	assert_null(list);
	/* RFC 5737 keeps it for documentation. */
	assert_int_equal(open_at("192.0.2.1", 57012), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	snprintf(text, sizeof(text), "cannot listen on 192.0.2.1:57012: %s",
	    strerror(EADDRNOTAVAIL));
	assert_string_equal(errbuf, text);

	n = count();
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	assert_int_equal(count(), n + 1);
	port = own_port(list->watch.fd);
	assert_int_equal(open_at("127.0.0.1", port), -1);
	assert_int_equal(errno, EADDRINUSE);
	snprintf(text, sizeof(text), "cannot listen on 127.0.0.1:%u: %s",
	    port, strerror(EADDRINUSE));
	assert_string_equal(errbuf, text);
	/* One of loopback's two is enough for that. */
	assert_int_equal(open_at(NULL, port), -1);
	assert_int_equal(errno, EADDRINUSE);
	snprintf(text, sizeof(text), "cannot listen on localhost:%u: %s",
	    port, strerror(EADDRINUSE));
	assert_string_equal(errbuf, text);
}

static void
takes_a_connection_and_its_name(void **state)
{
	char name[128], expected[128], buf[8];
	struct pcap_tcp_bytes *bytes;
	int fd;

	(void)state;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	assert_null(pcap_tcp_listener_accept(list, 30, name, sizeof(name)));
	assert_true(pcap_tcp_listener_deadline(list) == PCAP_TCP_NEVER);
	assert_false(is_readable(events.fd));
	fd = sender();
	assert_int_equal(write(fd, "bytes", 5), 5);
	assert_true(is_readable(events.fd));
	bytes = pcap_tcp_listener_accept(list, 30, name, sizeof(name));
	assert_non_null(bytes);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", own_port(fd));
	assert_string_equal(name, expected);
	assert_true(bytes->established);
	assert_int_equal(bytes->wanted, POLLIN);
	assert_int_equal(pcap_tcp_bytes_read(bytes, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "bytes", 5);
	assert_int_equal(pcap_tcp_bytes_read(bytes, buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
	pcap_tcp_bytes_close(bytes);
	assert_null(pcap_tcp_listener_accept(list, 30, name, sizeof(name)));
	close(fd);
}

static void
is_gone_when_it_is_closed(void **state)
{
	struct sockaddr_storage own;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	own = own_address(list->watch.fd);
	pcap_tcp_listener_close(list);
	list = NULL;
	assert_int_equal(connect(fd, (struct sockaddr *)&own,
	    sizeof(struct sockaddr_in)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void
assert_paused(int64_t before)
{
	assert_true(list->paused_until >= before + 1000);
	assert_true(list->paused_until <= pcap_tcp_now() + 1000);
	assert_true(pcap_tcp_listener_deadline(list) == list->paused_until);
	/* Whoever waits in the backlog makes nothing readable. */
	assert_int_equal(list->watch.watched, 0);
	assert_false(is_readable(events.fd));
}

static void
a_pause_ends_at_its_time(void **state)
{
	int64_t before;
	int fd;

	(void)state;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	assert_true(pcap_tcp_listener_deadline(list) == PCAP_TCP_NEVER);
	fd = sender();
	before = pcap_tcp_now();
	pcap_tcp_listener_pause(list);
	assert_paused(before);
	pcap_tcp_listener_resume(list, list->paused_until - 1);
	assert_paused(before);
	pcap_tcp_listener_resume(list, list->paused_until);
	assert_true(pcap_tcp_listener_deadline(list) == PCAP_TCP_NEVER);
	assert_int_equal(list->watch.watched, POLLIN);
	assert_true(is_readable(events.fd));
	/* One that is not paused has nothing to end. */
	pcap_tcp_watch_enable(&list->watch, 0);
	pcap_tcp_listener_resume(list, PCAP_TCP_NEVER);
	assert_int_equal(list->watch.watched, 0);
	close(fd);
}

/* A socket that no longer listens, in the place of one without memory. */
static void
pauses_where_it_cannot_accept(void **state)
{
	char name[128];
	int64_t before;

	(void)state;
	assert_int_equal(open_at("127.0.0.1", 0), 0);
	assert_int_equal(shutdown(list->watch.fd, SHUT_RD), 0);
	before = pcap_tcp_now();
	assert_null(pcap_tcp_listener_accept(list, 30, name, sizeof(name)));
	assert_paused(before);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loopback_has_two_addresses),
		TEST(one_list_has_them_all),
		TEST(says_why_it_cannot),
		TEST(takes_a_connection_and_its_name),
		TEST(is_gone_when_it_is_closed),
		TEST(a_pause_ends_at_its_time),
		TEST(pauses_where_it_cannot_accept),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
