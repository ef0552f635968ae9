/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-status.h - what an open device is doing, for others to look at.
 *
 * It is in a memfd of the program, which whoever may look into /proc/PID/fd
 * finds by its name: nothing has to be cleaned up after a crash, and no sandbox
 * is in its way.  One thread writes, without a lock: a reader may see a source
 * that is half changed, but each text has its NUL.  All is in this machine's
 * byte order.
 */
#ifndef pcap_tcp_status_h
#define pcap_tcp_status_h

#include <stddef.h>
#include <stdint.h>

#define PCAP_TCP_STATUS_NAME	"pcap-tcp-status"
#define PCAP_TCP_STATUS_VERSION	1	/* changes with the structs */

enum pcap_tcp_source_state {
	PCAP_TCP_SOURCE_NONE,		/* this one is not in use */
	PCAP_TCP_SOURCE_TRYING,		/* until the stream's header is here */
	PCAP_TCP_SOURCE_UP,		/* it has a stream */
	PCAP_TCP_SOURCE_RETRYING,	/* the next attempt is due at due */
	PCAP_TCP_SOURCE_GONE		/* there is no other attempt */
};

/* What TLS says of the connection; empty without it. */
struct pcap_tcp_security {
	char version[16];
	char subject[176];	/* of the peer's certificate; or empty */
	int64_t valid_until;	/* that, seconds of the epoch; or 0 */
};

/* Times are milliseconds of the epoch, 0: never. */
struct pcap_tcp_source {
	uint32_t state;
	uint32_t is_sender;	/* It connected to us. */
	char name[128];		/* HOST:PORT or a path */
	int64_t since;		/* the state began */
	int64_t due;		/* the next attempt is */
	int64_t failed_at;	/* an attempt or a stream was over, last */
	char error[256];	/* why */
	uint64_t failures;	/* attempts and streams that are over */

	/* The connection, or the last one: */
	int64_t connected_at;	/* TCP did, TLS may be yet to come */
	uint32_t connect_time;	/* ms, from the attempt's start */
	uint32_t snaplen;	/* what the stream says, 0: nothing */
	char format[8];		/* "pcap" or "pcapng" */
	char linktype[32];
	struct pcap_tcp_security security;

	/* All its streams: */
	uint64_t streams;
	uint64_t records;
	uint64_t bytes;		/* of records and of their headers */
	uint64_t dropped;	/* packets, as the source itself says */
	int64_t read_at;	/* the last read that brought something */
	int64_t last_stamp;	/* the last record's, by the source's clock */
};

struct pcap_tcp_status {
	uint32_t version;	/* PCAP_TCP_STATUS_VERSION */
	uint32_t nsources;
	int64_t opened_at;
	char program[64];
	char device[512];	/* as the program calls it, cut */
	struct pcap_tcp_source source[];
};

/*
 * A status for so many sources, which nobody but this process sees where the
 * system has no memfd.  Returns NULL if out of memory.  *fd is for
 * pcap_tcp_status_close().
 */
struct pcap_tcp_status *pcap_tcp_status_open(const char *device,
    unsigned int nsources, int *fd);
void	pcap_tcp_status_close(struct pcap_tcp_status *s, int fd);

/* The time in the unit of a status. */
int64_t	pcap_tcp_status_now(void);

#endif
