/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-linktype.c - what libpcap knows of link types
 */

#include <config.h>

#include <stdlib.h>

#include "pcap-tcp-compat.h"
#include "pcap-tcp-linktype.h"

const struct pcap_tcp_linktypes pcap_tcp_linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, pcap_datalink_val_to_name
};

int
pcap_tcp_parse_linktype(const char *text)
{
	char *end;
	unsigned long number;
	int dlt = pcap_datalink_name_to_val(text);

	if (dlt != -1 || !PCAP_ISDIGIT(*text))
		return (dlt);
	number = strtoul(text, &end, 10);
	return (*end != '\0' || number > UINT16_MAX ? -1 :
	    linktype_to_dlt((int)number));
}

static size_t
fix_pseudo_headers(void *headers, struct pcap_tcp_record *r, size_t n)
{
	const struct pcap_tcp_pseudo_headers *p = headers;
	const struct pcap_tcp_record *end = r + n;
	uint32_t family;

	for (; r != end; r++) {
		if (p->dlt != DLT_NULL && p->dlt != DLT_ENC) {
			/*
			 * In place, or a little in front of it: libpcap wants
			 * the header aligned, and there is room, as the
			 * record's header has been parsed and may be
			 * overwritten.
			 */
			r->data = memmove(r->data -
			    (uintptr_t)r->data % sizeof(uint64_t), r->data,
			    r->h.caplen);
			pcapint_post_process(p->dlt, r->origin.swapped,
			    &r->h, r->data);
		} else if (r->origin.swapped != p->swapped &&
		    r->h.caplen >= 4) {
			/*
			 * Filters are made for an AF_ value in the byte order
			 * of the sender, which must not change when the
			 * sender's does.
			 */
			family = get32(r->data, 1);
			memcpy(r->data, &family, sizeof(family));
		}
	}
	return (n);
}

pcap_tcp_stage *
pcap_tcp_linktype_stage(struct pcap_tcp_pseudo_headers *p, int dlt,
    int swapped)
{
	p->dlt = dlt;
	p->swapped = swapped;
	switch (dlt) {

	case DLT_ENC:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NFLOG:
	case DLT_NULL:
	case DLT_PFLOG:
	case DLT_USB_LINUX:
	case DLT_USB_LINUX_MMAPPED:
		return (fix_pseudo_headers);

	default:
		return (NULL);
	}
}
