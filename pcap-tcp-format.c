/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-format.c - what the formats of a stream share
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "pcap-tcp-format.h"
#include "pcap-tcp-link.h"

int
pcap_tcp_is_pcap_magic(uint32_t magic)
{
	return (magic == MAGIC_USEC || magic == MAGIC_NSEC ||
	    magic == MAGIC_KUZNETZOV);
}

/*
 * Of the versions that sf-pcap.c reads; 543.0 is DG/UX tcpdump's.  As a record,
 * a header would have to be of the year 2055 or 2083 and of one certain
 * microsecond, so this takes no packet for one.
 */
int
pcap_tcp_is_pcap_header(const u_char *buf)
{
	int swapped = !pcap_tcp_is_pcap_magic(get32(buf, 0));
	uint16_t major = get16(buf + 4, swapped);
	uint16_t minor = get16(buf + 6, swapped);

	return (pcap_tcp_is_pcap_magic(get32(buf, swapped)) &&
	    ((major == PCAP_VERSION_MAJOR && minor <= PCAP_VERSION_MINOR) ||
	    (major == 543 && minor == 0)));
}

int
pcap_tcp_is_section_header(const u_char *buf)
{
	uint32_t magic = get32(buf + 8, 0);

	return (get32(buf, 0) == BT_SHB && (magic == BYTE_ORDER_MAGIC ||
	    magic == bswap_32(BYTE_ORDER_MAGIC)));
}

enum pcap_tcp_decoded
pcap_tcp_malformed(struct pcap_tcp_decoder *d, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(d->error, sizeof(d->error), fmt, ap);
	va_end(ap);
	n = strlen(d->error);
	snprintf(d->error + n, sizeof(d->error) - n, " (at byte %" PRIu64
	    " of the stream)", d->offset);
	return (PCAP_TCP_ERROR);
}

static int
expected_dlt(const struct pcap_tcp_decoder *d, int otherwise)
{
	return (d->shared->dlt != -1 ? d->shared->dlt :
	    d->dlt != -1 ? d->dlt : otherwise);
}

/* A name, or else a number, as linktype= takes it. */
static const char *
print_dlt(const struct pcap_tcp_decoder *d, int dlt, char number[12])
{
	const char *name = d->shared->linktypes->name(dlt);

	snprintf(number, 12, "%d", dlt);
	return (name != NULL ? name : number);
}

enum pcap_tcp_decoded
pcap_tcp_accept_dlt(struct pcap_tcp_decoder *d, int dlt)
{
	int expected = expected_dlt(d, dlt), given = d->shared->dlt_is_given;
	int is_known = pcap_tcp_link_is_known(dlt);
	char numbers[2][12], advice[64] = "";
	const char *name;

	if (expected == dlt)
		return (PCAP_TCP_DONE);
	if (is_known && given && expected == DLT_EN10MB) {
		d->shared->is_mixed = 1;
		return (PCAP_TCP_DONE);
	}
	name = print_dlt(d, dlt, numbers[0]);
	if (is_known && pcap_tcp_link_is_known(expected))
		snprintf(advice, sizeof(advice),
		    " (linktype=EN10MB takes both)");
	else if (given)
		snprintf(advice, sizeof(advice), " (linktype=%s takes it)",
		    name);
	return (pcap_tcp_malformed(d, "the link type is %s, the device's is "
	    "%s%s", name, print_dlt(d, expected, numbers[1]), advice));
}

void
pcap_tcp_set_dlt(struct pcap_tcp_decoder *d, int dlt)
{
	d->dlt = expected_dlt(d, dlt);
	d->origin.dlt = (uint16_t)dlt;
	d->started = 1;
}
