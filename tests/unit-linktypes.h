/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-linktypes.h - cmocka, and a few link types in the place of libpcap's
 */

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pcap-tcp-format.h"

#define MAX_CAPLEN	262144
#define LINKTYPE_DBUS	231	/* has the longest packets */

static int
linktype_to_dlt(int linktype)
{
	return (linktype == 101 ? DLT_RAW : linktype);
}

static u_int
max_snaplen_for_dlt(int dlt)
{
	return (dlt == DLT_DBUS ? 128 * 1024 * 1024 : MAX_CAPLEN);
}

static const char *
dlt_name(int dlt)
{
	return (dlt == DLT_RAW ? "RAW" : NULL);
}

static const struct pcap_tcp_linktypes linktypes = {
	linktype_to_dlt, max_snaplen_for_dlt, dlt_name
};
