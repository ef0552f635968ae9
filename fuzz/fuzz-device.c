/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz-device - a libFuzzer target: device names
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tcp-device.h"

static void
check(int holds)
{
	if (!holds)
		abort();
}

static int
is_within(const struct pcap_tcp_device *d, const char *s)
{
	return (s == NULL || (s >= d->text && s < d->text + sizeof(d->text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pcap_tcp_device device;
	char errbuf[256] = "", *name = malloc(size + 1), *c;
	unsigned int i;

	memcpy(name, data, size);
	name[size] = '\0';
	if (pcap_tcp_device_is_ours(name)) {
		if (pcap_tcp_device_parse(&device, name, errbuf,
		    sizeof(errbuf)) == -1) {
			check(errbuf[0] != '\0');
			for (c = errbuf; *c != '\0'; c++)
				check(*c >= ' ' && *c <= '~');
		} else
			check(device.nsources > 0);
		check(device.nsources <= PCAP_TCP_MAX_SOURCES);
		for (i = 0; i < device.nsources; i++)
			check(is_within(&device, device.source[i].host));
		for (i = 0; i < device.nsources && errbuf[0] == '\0'; i++)
			check((device.source[i].scheme ==
			    PCAP_TCP_SCHEME_UNIX) ==
			    (device.source[i].port == 0));
		check(is_within(&device, device.ca) &&
		    is_within(&device, device.servername));
	}
	free(name);
	return (0);
}
