/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp.h - the capture module for PCAP-over-IP: what libpcap's device
 * table and pcap_lookupnet() need of it
 */

pcap_t	*pcap_tcp_create(const char *, char *, int *);
int	pcap_tcp_findalldevs(pcap_if_list_t *devlistp, char *errbuf);

/* Does the module take a device of this name?  1 or 0. */
int	pcap_tcp_is_device(const char *name);
