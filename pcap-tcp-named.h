/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-named.h - the file of named devices: $PCAP_TCP_DEVICES, which is
 * ignored in programs that gain privileges by being run, else
 * SYSCONFDIR/pcap-tcp/devices.  A line is
 *
 *	NAME DEVICE [DESCRIPTION...]
 *
 * with blanks between them; empty lines, and those that begin with #, are
 * skipped.  A file that can't be read has no names.
 */
#ifndef pcap_tcp_named_h
#define pcap_tcp_named_h

#include <stdio.h>

/* All zero before the first call. */
struct pcap_tcp_named {
	FILE *file;
	char *text;		/* of the line, cut up */
	size_t size;
	unsigned int line;	/* from 1 */
	const char *name;
	const char *device;	/* "" if there is none */
	const char *description;	/* likewise */
};

/*
 * The next name; of lines with the same name, the first one counts.  Returns
 * 1, or 0 at the end of the file; what n points to lasts until the next call.
 */
int	pcap_tcp_named_next(struct pcap_tcp_named *n);

/* The line of this name, by itself the first call.  Returns 1 or 0. */
int	pcap_tcp_named_find(struct pcap_tcp_named *n, const char *name);

/* To be called after each of these in any case. */
void	pcap_tcp_named_close(struct pcap_tcp_named *n);

#endif
