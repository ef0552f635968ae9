/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-world.h - what is outside of the program, for fuzz-handle: servers at
 * Unix sockets and on loopback, and senders, without TLS and with it.  One byte
 * of the input says what happens next, another one to whom.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "fuzz-tls.h"

#define PARTIES		2
#define CONNECTIONS	4

enum kind { BY_UNIX, BY_TCP, BY_TLS, TCP_SENDER, TLS_SENDER, KINDS };

struct connection {
	int fd;			/* -1: none */
	SSL *ssl;		/* NULL: without TLS */
};

/* Who is at the other side of one source. */
struct party {
	enum kind kind;
	char path[64];
	in_port_t port;
	int fd;			/* -1: it does not listen, or we connect */
	struct connection connection[CONNECTIONS];
};

static struct party parties[PARTIES];
static int64_t now;		/* ms */

static int
is_sender(const struct party *p)
{
	return (p->kind == TCP_SENDER || p->kind == TLS_SENDER);
}

static int
has_tls(const struct party *p)
{
	return (p->kind == BY_TLS || p->kind == TLS_SENDER);
}

static struct sockaddr_in
loopback(in_port_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = port };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (a);
}

static int
new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;

	check(fd != -1);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return (fd);
}

/* A port that is free, and likely to be so for long. */
static in_port_t
free_port(void)
{
	struct sockaddr_in a = loopback(0);
	socklen_t size = sizeof(a);
	int fd = new_socket(AF_INET);

	check(bind(fd, (struct sockaddr *)&a, size) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &size) == 0);
	close(fd);
	return (a.sin_port);
}

static void
set_up_world(void)
{
	static char folder[] = "/tmp/pcap-tcp-XXXXXX";
	unsigned int i;

	check(mkdtemp(folder) != NULL);
	for (i = 0; i < PARTIES; i++) {
		snprintf(parties[i].path, sizeof(parties[i].path), "%s/%u",
		    folder, i);
		parties[i].port = free_port();
	}
	set_up_tls();
}

static void
stop_listening(struct party *p)
{
	if (p->fd != -1)
		close(p->fd);
	unlink(p->path);
	p->fd = -1;
}

static void
start_listening(struct party *p)
{
	struct sockaddr_un unix_address = { .sun_family = AF_UNIX };
	struct sockaddr_in address = loopback(p->port);

	stop_listening(p);
	if (is_sender(p))
		return;
	if (p->kind == BY_UNIX) {
		p->fd = new_socket(AF_UNIX);
		strcpy(unix_address.sun_path, p->path);
		check(bind(p->fd, (struct sockaddr *)&unix_address,
		    sizeof(unix_address)) == 0 &&
		    listen(p->fd, CONNECTIONS) == 0);
		return;
	}
	/* Somebody else may have the port by now. */
	p->fd = new_socket(AF_INET);
	if (bind(p->fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(p->fd, CONNECTIONS) == -1)
		stop_listening(p);
}

/* By a reset, which leaves nothing behind in the kernel, or an end. */
static void
hang_up(struct connection *c, int reset)
{
	const struct linger linger = { .l_onoff = 1 };

	if (c->fd == -1)
		return;
	if (reset)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
		    sizeof(linger));
	close(c->fd);
	c->fd = -1;
	SSL_free(c->ssl);
	c->ssl = NULL;
}

/* A connection that there was not yet, if it can be had. */
static void
meet(struct party *p, struct connection *c, int version)
{
	struct sockaddr_in address = loopback(p->port);
	const int one = 1;

	if (is_sender(p)) {
		c->fd = new_socket(AF_INET);
		(void)connect(c->fd, (struct sockaddr *)&address,
		    sizeof(address));
	} else if (p->fd != -1)
		c->fd = accept(p->fd, NULL, NULL);
	/* What was sent is there: no small pieces wait for one another. */
	if (c->fd != -1 && p->kind != BY_UNIX)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
	if (c->fd != -1 && has_tls(p))
		c->ssl = new_tls(!is_sender(p), version);
}

/* A header or a packet that is right, or bytes as they are. */
static void
send_something(struct connection *c, unsigned int what, int raw)
{
	static const uint32_t header[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0,
	    65535, 1 };
	static const uint32_t section[] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0U,
	    ~0U, 28, 1, 20, 1, 65535, 20 };
	uint32_t packet[] = { (uint32_t)(now / 1000), 0, 8, 60, 0, 0 };
	uint32_t block[] = { 6, 40, 0, 0, (uint32_t)now * 1000, 8, 60, 0, 0,
	    40 };
	u_char noise[256];
	const void *data = noise;
	size_t size, i;

	switch (what % 8) {

	case 0:
	case 1:
		for (size = what / 8, i = 0; i < size; i++)
			noise[i] = (u_char)byte();
		break;

	case 2:
		data = header;
		size = sizeof(header);
		break;

	case 3:
		data = section;
		size = sizeof(section);
		break;

	case 4:
	case 5:
		data = packet;
		size = sizeof(packet);
		break;

	default:
		data = block;
		size = sizeof(block);
	}
	/* Sometimes a part of it. */
	if (what % 8 > 1 && what / 8 % 4 == 0)
		size = size * byte() / 256;
	if (c->ssl == NULL || raw)
		(void)send(c->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (SSL_is_init_finished(c->ssl))
		(void)SSL_write(c->ssl, data, (int)size);
}

/* One thing happens; returns 0 when nothing does any more. */
static int
go_on(void)
{
	unsigned int what = byte(), which = byte();
	struct party *p = &parties[which % PARTIES];
	struct connection *c = &p->connection[which / PARTIES % CONNECTIONS];
	size_t most = SIZE_MAX;

	if (next == end)
		return (0);
	switch (what % 8) {

	case 0:
		now += which * (what / 8);
		return (1);

	case 1:
		if (what & 8)
			start_listening(p);
		else
			stop_listening(p);
		return (1);

	case 2:
		hang_up(c, what & 8);
		return (1);

	case 3:
		if (c->fd != -1)
			shutdown(c->fd, (int)(what / 8 % 3));
		return (1);
	}
	if (c->fd == -1)
		meet(p, c, which & 128 ? TLS1_2_VERSION : TLS1_3_VERSION);
	if (c->fd == -1)
		return (1);
	if (c->ssl == NULL || what % 8 < 7)
		send_something(c, what / 8, what % 8 == 6);
	else if (what / 8 % 4 == 3)
		most = byte();
	else
		say(c->ssl, what / 8 % 4);
	if (c->ssl != NULL)
		exchange(c->ssl, c->fd, most);
	return (1);
}
