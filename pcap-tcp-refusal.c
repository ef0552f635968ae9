/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-refusal.c - what a stream is that is neither pcap nor pcapng, and
 * what the user can do about it
 */

#include <stdio.h>

#include "pcap-tcp-refusal.h"

#define MAX_QUOTED	40	/* bytes of a text line */

static const struct {
	const char *magic;
	size_t size;
	const char *what;
} known[] = {
	{ "HTTP", 4, "an HTTP response: is this the right port?" },
	{ "\x1f\x8b", 2, "gzip: decompress at the sender" },
	{ "\x28\xb5\x2f\xfd", 4, "a Zstandard stream: decompress at the "
	    "sender" },
	{ "\xfd" "7zX", 4, "xz: decompress at the sender" },
	{ "BZh", 3, "bzip2: decompress at the sender" },
	{ "\x04\x22\x4d\x18", 4, "LZ4: decompress at the sender" },
	{ "\x15\x03", 2, "a TLS server (it sent an alert): did you mean tls:?" },
	{ "\x16\x03", 2, "a TLS handshake: did you mean tls:?" },
	/* rpcap version 0, RPCAP_MSG_ERROR. */
	{ "\x00\x01\x00", 3, "an rpcap server: use rpcap://, or let it send "
	    "pcap" },
	{ "SSH-", 4, "an SSH server: is this the right port?" },
};

/* Quotes a line of text, as far as it is here; 0 if it is none. */
static int
quote_line(const u_char *buf, size_t len, char quoted[MAX_QUOTED + 1])
{
	size_t i;

	for (i = 0; i < len && i < MAX_QUOTED; i++) {
		if (buf[i] == '\n' || buf[i] == '\r')
			break;
		if (buf[i] != '\t' && (buf[i] < ' ' || buf[i] > '~'))
			return (0);
		quoted[i] = (char)(buf[i] == '\t' ? ' ' : buf[i]);
	}
	quoted[i] = '\0';
	return (i > 0);
}

enum pcap_tcp_decoded
pcap_tcp_refuse(struct pcap_tcp_decoder *d, const u_char *buf, size_t len)
{
	char quoted[MAX_QUOTED + 1];
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (memcmp(buf, known[i].magic, known[i].size) != 0)
			continue;
		snprintf(d->error, sizeof(d->error),
		    "not a pcap stream but %s", known[i].what);
		return (PCAP_TCP_ERROR);
	}
	if (quote_line(buf, len, quoted))
		snprintf(d->error, sizeof(d->error),
		    "not a pcap stream but text, \"%s\"", quoted);
	else
		snprintf(d->error, sizeof(d->error), "not a pcap or pcapng "
		    "stream: it begins with %02x %02x %02x %02x", buf[0],
		    buf[1], buf[2], buf[3]);
	return (PCAP_TCP_ERROR);
}
