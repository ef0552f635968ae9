/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-named.c - the file of named devices
 */

#define _GNU_SOURCE	/* secure_getenv() */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-device.h"
#include "pcap-tcp-linktype.h"
#include "pcap-tcp-named.h"

#define BLANKS	" \t\r\n"

static int
open_file(struct pcap_tcp_named *n)
{
	const char *path = secure_getenv("PCAP_TCP_DEVICES");
	int fd;

	n->path = path != NULL ? path : PCAP_TCP_SYSCONFDIR "/pcap-tcp/devices";
	/* A FIFO, say, must not keep a program from its other devices. */
	fd = open(n->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	n->file = fd == -1 ? NULL : fdopen(fd, "r");
	if (n->file != NULL)
		return (1);
	n->error = errno;
	if (fd != -1)
		close(fd);
	else if (errno == ENOENT && (path == NULL || *path == '\0'))
		n->path = NULL;
	return (0);
}

/* Cuts a word off the front of the text; returns what is behind it. */
static char *
cut_word(char *text)
{
	text += strcspn(text, BLANKS);
	if (*text != '\0')
		*text++ = '\0';
	return (text + strspn(text, BLANKS));
}

int
pcap_tcp_named_next(struct pcap_tcp_named *n)
{
	char *text;
	size_t length;

	if (n->file == NULL && !open_file(n))
		return (0);
	do {
		if (getline(&n->text, &n->size, n->file) == -1) {
			n->error = ferror(n->file) ? errno : 0;
			return (0);
		}
		n->line++;
		text = n->text + strspn(n->text, BLANKS);
	} while (*text == '\0' || *text == '#');
	for (length = strlen(text); strchr(BLANKS, text[length - 1]) != NULL;
	    length--)
		text[length - 1] = '\0';
	n->name = text;
	n->device = text = cut_word(text);
	n->description = cut_word(text);
	return (1);
}

int
pcap_tcp_named_find(struct pcap_tcp_named *n, const char *name)
{
	n->device = name;
	if (pcap_tcp_device_is_ours(name))
		return (1);
	while (pcap_tcp_named_next(n)) {
		if (strcmp(n->name, name) == 0)
			return (1);
	}
	return (0);
}

int
pcap_tcp_named_parse(const struct pcap_tcp_named *n,
    struct pcap_tcp_device *device, int *dlt, char *errbuf, size_t size)
{
	const char *type;
	char why[256];

	if (!pcap_tcp_device_is_ours(n->device))
		(void)pcap_tcp_device_refuse(n->name, "device", n->device,
		    "tcp:HOST:PORT or the like", why, sizeof(why));
	else if (pcap_tcp_device_parse(device, n->device, why,
	    sizeof(why)) == 0) {
		type = device->linktype;
		/* A line's is known, so that who lists it does not open it. */
		*dlt = type != NULL ? pcap_tcp_parse_linktype(type) :
		    n->line != 0 ? DLT_EN10MB : -1;
		if (type == NULL || *dlt != -1)
			return (0);
		(void)pcap_tcp_device_refuse(n->device, "linktype", type,
		    "a link type's name (EN10MB) or number", why, sizeof(why));
	}
	if (n->line == 0)
		snprintf(errbuf, size, "%s", why);
	else
		snprintf(errbuf, size, "line %u of %.110s: %s", n->line,
		    n->path, why);
	return (-1);
}

void
pcap_tcp_named_explain(const struct pcap_tcp_named *n, char *errbuf,
    size_t size)
{
	if (n->error != 0)
		pcap_tcp_fmt_errno(errbuf, size, n->error, "cannot read %s",
		    n->path);
	else
		snprintf(errbuf, size, "neither an interface nor in %s",
		    n->path);
}

void
pcap_tcp_named_close(struct pcap_tcp_named *n)
{
	if (n->file != NULL)
		fclose(n->file);
	free(n->text);
}
