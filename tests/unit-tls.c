/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Unit tests of pcap-tcp-tls.c: what a connection waits for.
 */

#include <config.h>	/* libpcap's: was there OpenSSL? */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "pcap-tcp-tls.h"
#include "pcap-tcp-socket.h"

#ifdef PCAP_TCP_TLS

static struct pcap_tcp_tls_context *context;
static int other;	/* the remote end of the connection */

static struct pcap_tcp_bytes *
new_bytes(const char *host)
{
	struct pcap_tcp_device device = { .nsources = 1 };
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct addrinfo info = { .ai_family = AF_INET,
	    .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof(address),
	    .ai_addr = (struct sockaddr *)&address };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pcap_tcp_bytes *b;
	char errbuf[256] = "";

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, info.ai_addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, info.ai_addr, &len), 0);
	b = pcap_tcp_connect(&info, 30);
	assert_non_null(b);
	other = accept(listener, NULL, NULL);
	assert_true(other != -1);
	assert_int_equal(pcap_tcp_connect_result(b), 0);
	close(listener);
	context = pcap_tcp_tls_context_new(&device, host == NULL, errbuf,
	    sizeof(errbuf));
	assert_string_equal(errbuf, "");
	assert_non_null(context);
	b = pcap_tcp_tls_bytes(context, b, host);
	assert_non_null(b);
	return (b);
}

static void
close_both(struct pcap_tcp_bytes *b)
{
	b->ops->close(b);
	pcap_tcp_tls_context_free(context);
	close(other);
}

/* Who waits to read before the first word was said waits for ever. */
static void
a_client_waits_to_write_first(void **state)
{
	struct pcap_tcp_bytes *b = new_bytes("127.0.0.1");
	char byte;

	(void)state;
	assert_int_equal(b->wanted, POLLOUT);
	assert_int_equal(b->established, 0);
	assert_int_equal(b->ops->read(b, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(b->wanted, POLLIN);
	assert_int_equal(read(other, &byte, 1), 1);
	assert_int_equal(byte, 0x16);	/* a handshake */
	close_both(b);
}

static void
a_server_waits_to_read(void **state)
{
	struct pcap_tcp_bytes *b = new_bytes(NULL);
	char byte;

	(void)state;
	assert_int_equal(b->wanted, POLLIN);
	assert_int_equal(b->ops->read(b, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(b->wanted, POLLIN);
	assert_int_equal(write(other, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	assert_int_equal(b->ops->read(b, &byte, 1), -1);
	assert_int_equal(errno, EPROTO);
	assert_string_equal(b->ops->error(b),
	    "this is not TLS (without it, the device is tcp:)");
	close_both(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_waits_to_write_first),
		cmocka_unit_test(a_server_waits_to_read),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}

#else /* PCAP_TCP_TLS */

int
main(void)
{
	struct pcap_tcp_device device = { .nsources = 1 };
	char errbuf[256];

	return (pcap_tcp_tls_context_new(&device, 0, errbuf,
	    sizeof(errbuf)) != NULL);
}

#endif
