/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-server.h - servers for peers to connect to: Unix sockets in a folder
 * that ends with the test
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <fcntl.h>

#include "pcap-tcp-device.h"

#define MAX_SERVERS	4

static char server_folder[sizeof("/tmp/pcap-tcp-XXXXXX")];
static char server_path[MAX_SERVERS][64];

/* Paths at which nobody listens yet. */
static inline void
server_setup(void)
{
	int i;

	strcpy(server_folder, "/tmp/pcap-tcp-XXXXXX");
	assert_non_null(mkdtemp(server_folder));
	for (i = 0; i < MAX_SERVERS; i++)
		snprintf(server_path[i], sizeof(server_path[i]), "%s/%d",
		    server_folder, i);
}

static inline void
server_teardown(void)
{
	int i;

	for (i = 0; i < MAX_SERVERS; i++)
		unlink(server_path[i]);
	rmdir(server_folder);
}

/* Returns a listening socket. */
static inline int
server_listen(int i)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, server_path[i]);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return (fd);
}

static inline struct pcap_tcp_address
server_address(int i)
{
	return ((struct pcap_tcp_address){ .scheme = PCAP_TCP_SCHEME_UNIX,
	    .host = server_path[i] });
}

/* Returns the connection of one who has connected. */
static inline int
server_accept(int fd)
{
	fd = accept(fd, NULL, NULL);
	assert_true(fd != -1);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return (fd);
}
