/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-decoder.c - from the bytes of a stream to its records: which
 * format it has, or what it is if none, and what the user can do about it
 */

#include <stddef.h>
#include <stdio.h>

#include "pcap-tcp-decoder.h"

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
	{ "\x15\x03", 2, "a TLS server (it sent an alert): did you mean "
	    "tls:?" },
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

/* Says in the error what begins at buf, of which 4 bytes at least are here. */
static enum pcap_tcp_decoded
refuse(struct pcap_tcp_decoder *d, const u_char *buf, size_t len)
{
	char quoted[MAX_QUOTED + 1];
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (memcmp(buf, known[i].magic, known[i].size) == 0) {
			snprintf(d->error, sizeof(d->error),
			    "not a pcap stream but %s", known[i].what);
			return (PCAP_TCP_ERROR);
		}
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

/* The first bytes of a stream tell what it is. */
static enum pcap_tcp_decoded
start(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_batch *b)
{
	uint32_t magic;

	(void)b;
	if (in->left < sizeof(magic))
		return (pcap_tcp_more(in, sizeof(magic)));
	magic = get32(in->next, 0);
	if (pcap_tcp_is_pcap_magic(magic) ||
	    pcap_tcp_is_pcap_magic(bswap_32(magic)))
		return (pcap_tcp_pcap_start(d, in));
	if (magic == BT_SHB) {
		if (in->left < 12)
			return (pcap_tcp_more(in, 12));
		if (pcap_tcp_is_section_header(in->next))
			return (pcap_tcp_pcapng_start(d, in));
	}
	return (refuse(d, in->next, in->left));
}

void
pcap_tcp_decoder_restart(struct pcap_tcp_decoder *d)
{
	d->run = start;
	d->started = 0;
	d->skip = 0;
	d->offset = 0;
	d->failed = 0;
}

void
pcap_tcp_decoder_init(struct pcap_tcp_decoder *d,
    struct pcap_tcp_decoding *shared)
{
	memset(d, 0, offsetof(struct pcap_tcp_decoder, interface));
	d->shared = shared;
	d->dlt = -1;
	pcap_tcp_decoder_restart(d);
}

size_t
pcap_tcp_decode(struct pcap_tcp_decoder *d, struct pcap_tcp_input *in,
    struct pcap_tcp_record *r, size_t n)
{
	struct pcap_tcp_batch b = { r, r + n };
	enum pcap_tcp_decoded decoded = PCAP_TCP_DONE;

	if (d->failed || in->left < in->needed)
		return (0);
	in->needed = 1;
	while ((decoded == PCAP_TCP_DONE || decoded == PCAP_TCP_RESTART) &&
	    (!d->started || b.next != b.end)) {
		decoded = d->run(d, in, &b);
		if (decoded == PCAP_TCP_RESTART)
			d->run = start;
	}
	d->failed = decoded == PCAP_TCP_ERROR;
	return ((size_t)(b.next - r));
}
