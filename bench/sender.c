/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * sender - listens on a free port of 127.0.0.1, which it prints, and serves
 * each connection in a process of its own
 *
 *	file FILE...	all of FILE, and closes; the second connection gets
 *			the second one, and so on, over and over
 *	hold FILE...	the same, and stays until the peer leaves
 *	stamped PACKETS INTERVAL
 *			so many packets of 64 bytes, one each INTERVAL
 *			microseconds, with the CLOCK_MONOTONIC time in it
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAMP		14		/* where a packet has its time */

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
send_file(int conn, const char *path)
{
	int file = open(path, O_RDONLY);
	struct stat st;
	off_t at = 0;

	if (file == -1 || fstat(file, &st) == -1)
		fail(path);
	while (at < st.st_size &&
	    sendfile(conn, file, &at, (size_t)(st.st_size - at)) > 0)
		;
}

static void
wait_for_end(int conn)
{
	char byte;

	while (recv(conn, &byte, 1, 0) > 0)
		;
}

static int64_t
nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

static void
send_stamped(int conn, long count, long interval)
{
	const uint32_t header[6] = { 0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1 };
	const int on = 1;
	struct { uint32_t sec, usec, caplen, len; char data[64]; } record;
	int64_t now, next;

	setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (write(conn, header, sizeof(header)) != sizeof(header))
		return;
	memset(&record, 0, sizeof(record));
	record.sec = 1700000000;
	record.caplen = record.len = sizeof(record.data);
	/* Until the reader is ready. */
	usleep(500000);
	for (next = nanoseconds(); count > 0; count--) {
		next += interval * 1000;
		/* Busy: a core that sleeps would be slow to wake up. */
		while ((now = nanoseconds()) < next)
			;
		memcpy(record.data + STAMP, &now, sizeof(now));
		if (write(conn, &record, sizeof(record)) != sizeof(record))
			return;
	}
}

static int
listen_somewhere(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    listen(fd, SOMAXCONN) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		fail("listen");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return (fd);
}

static void
serve(int conn, int number, int argc, char **argv)
{
	if (strcmp(argv[1], "stamped") == 0) {
		send_stamped(conn, atol(argv[2]), atol(argv[3]));
		return;
	}
	send_file(conn, argv[2 + number % (argc - 2)]);
	if (strcmp(argv[1], "hold") == 0)
		wait_for_end(conn);
}

int
main(int argc, char **argv)
{
	int listener, conn, number;

	if (argc < 3 || (strcmp(argv[1], "stamped") == 0 && argc != 4))
		return (2);
	signal(SIGCHLD, SIG_IGN);
	listener = listen_somewhere();
	for (number = 0; (conn = accept(listener, NULL, NULL)) != -1;
	    number++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			close(listener);
			serve(conn, number, argc, argv);
			_exit(0);
		}
		close(conn);
	}
	return (1);
}
