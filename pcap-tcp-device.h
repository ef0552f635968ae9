/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-device.h - the device names of PCAP-over-IP:
 *
 *	device  = source *( "+" source ) *( "," option )
 *	source  = [ scheme ] address		(the first one needs a scheme)
 *	scheme  = "tcp:" | "tls:" | "tcp-listen:" | "tls-listen:" | "unix:"
 *	address = HOST [ ":" PORT ] | PATH	listening: [ ADDR ":" ] PORT
 *	HOST    = name | IPv4 | "[" IPv6 [ "%" zone ] "]"
 *	option  = NAME [ "=" VALUE ]
 *
 * "//" behind a scheme and blanks around a comma mean nothing.  Wireshark's
 * "TCP@HOST:PORT" is none of ours: dumpcap asks libpcap before its own reader.
 * Pure functions: no I/O, no allocation; safe in any thread.
 */
#ifndef pcap_tcp_device_h
#define pcap_tcp_device_h

#include <stddef.h>
#include <stdint.h>

#define PCAP_TCP_DEFAULT_PORT	57012
#define PCAP_TCP_MAX_SOURCES	64
#define PCAP_TCP_MAX_DEVICE	4096	/* bytes of a name, with its NUL */
#define PCAP_TCP_MAX_HOST	255	/* RFC 1035, 2.3.4 */
#define PCAP_TCP_DEFAULT_TIMEOUT	10	/* seconds */
#define PCAP_TCP_MAX_WORKERS	256

enum pcap_tcp_scheme {
	PCAP_TCP_SCHEME_TCP,
	PCAP_TCP_SCHEME_TLS,
	PCAP_TCP_SCHEME_TCP_LISTEN,
	PCAP_TCP_SCHEME_TLS_LISTEN,
	PCAP_TCP_SCHEME_UNIX
};

static inline int
pcap_tcp_is_tls(enum pcap_tcp_scheme scheme)
{
	return (scheme == PCAP_TCP_SCHEME_TLS ||
	    scheme == PCAP_TCP_SCHEME_TLS_LISTEN);
}

static inline int
pcap_tcp_is_listening(enum pcap_tcp_scheme scheme)
{
	return (scheme == PCAP_TCP_SCHEME_TCP_LISTEN ||
	    scheme == PCAP_TCP_SCHEME_TLS_LISTEN);
}

struct pcap_tcp_address {
	enum pcap_tcp_scheme scheme;
	const char *host;	/* no brackets; unix: a path; NULL: none */
	unsigned short port;	/* host byte order; 0 if unix */
};

/* What comes after a stream's end. */
enum {
	PCAP_TCP_RECONNECT_AFTER_REPORT,	/* neither was given */
	PCAP_TCP_RECONNECT_YES,
	PCAP_TCP_RECONNECT_NO
};

/*
 * A parsed name.  The strings point into text, so that a device must not
 * be copied or moved.  A string option that was not given is NULL.
 */
struct pcap_tcp_device {
	char text[PCAP_TCP_MAX_DEVICE];
	unsigned int nsources;
	struct pcap_tcp_address source[PCAP_TCP_MAX_SOURCES];
	int timeout;		/* seconds, 0 = no limit, -1 = not given */
	int keepalive;		/* seconds */
	int reconnect;		/* one of PCAP_TCP_RECONNECT_ */
	int verify;
	int arrival;		/* Time stamps are those of arrival. */
	unsigned int nworkers;	/* fanout=: among so many, 0 = not given */
	unsigned int worker;	/* from 1 on, 0 = whichever is free */
	uint64_t id;		/* fanout=N: the same for the same name */
	const char *linktype;
	const char *ca;
	const char *cert;
	const char *key;
	const char *servername;
	const char *log;	/* where events go */
};

/*
 * Does the name begin with one of our schemes?  Upper and lower case are
 * the same.  Returns 1 or 0.
 */
int	pcap_tcp_device_is_ours(const char *name);

/*
 * Parses a name for which pcap_tcp_device_is_ours() holds.  Returns 0, or
 * -1 with one line in errbuf (of size bytes) that names the device, the
 * offending part and what was expected there; unprintable bytes come out
 * as '?'.  A name that was accepted has no control characters.
 */
int	pcap_tcp_device_parse(struct pcap_tcp_device *device, const char *name,
    char *errbuf, size_t size);

/* The same line about a part of a name that is checked elsewhere; -1. */
int	pcap_tcp_device_refuse(const char *name, const char *what,
    const char *part, const char *expected, char *errbuf, size_t size);

#endif
