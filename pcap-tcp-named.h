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
 * skipped.
 */
#ifndef pcap_tcp_named_h
#define pcap_tcp_named_h

#include <stdio.h>

struct pcap_tcp_device;

/* All zero before the first call. */
struct pcap_tcp_named {
	FILE *file;
	const char *path;	/* NULL: nobody has made one */
	int error;		/* errno, if it could not be read; else 0 */
	char *text;		/* of the line, cut up */
	size_t size;
	unsigned int line;	/* from 1; 0: none */
	const char *name;
	const char *device;	/* "" if there is none */
	const char *description;	/* likewise */
};

/*
 * The next line that has a name.  Returns 1, or 0 at the end of the file;
 * what n points to lasts until the next call.
 */
int	pcap_tcp_named_next(struct pcap_tcp_named *n);

/*
 * The first line with this name, or, without a line, a name that is a device by
 * itself, as it has a scheme.  Itself the first call.  Returns 1 or 0.
 */
int	pcap_tcp_named_find(struct pcap_tcp_named *n, const char *name);

/*
 * From what was found to the device, and to its link type: -1 if nothing says
 * it.  Returns 0, or -1 with one line in errbuf.
 */
int	pcap_tcp_named_parse(const struct pcap_tcp_named *n,
    struct pcap_tcp_device *device, int *dlt, char *errbuf, size_t size);

/* Why there is no such name, in one line; n->path is set. */
void	pcap_tcp_named_explain(const struct pcap_tcp_named *n, char *errbuf,
    size_t size);

/* To be called after each of these in any case. */
void	pcap_tcp_named_close(struct pcap_tcp_named *n);

#endif
