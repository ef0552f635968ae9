/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-named.c - the file of named devices
 */

#define _GNU_SOURCE	/* secure_getenv() */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap-tcp-named.h"

#ifndef PCAP_TCP_SYSCONFDIR
#define PCAP_TCP_SYSCONFDIR	"/etc"
#endif

#define BLANKS	" \t\r\n"

static FILE *
open_file(void)
{
	const char *path = secure_getenv("PCAP_TCP_DEVICES");
	struct stat st;
	FILE *file = NULL;
	/* A FIFO, say, must not keep a program from its other devices. */
	int fd = open(path != NULL ? path :
	    PCAP_TCP_SYSCONFDIR "/pcap-tcp/devices",
	    O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	if (fd != -1 && file == NULL)
		close(fd);
	return (file);
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

static int
next_line(struct pcap_tcp_named *n)
{
	char *text;
	size_t length;

	if (n->file == NULL && (n->file = open_file()) == NULL)
		return (0);
	do {
		if (getline(&n->text, &n->size, n->file) == -1)
			return (0);
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
	while (next_line(n)) {
		if (strcmp(n->name, name) == 0)
			return (1);
	}
	return (0);
}

int
pcap_tcp_named_next(struct pcap_tcp_named *n)
{
	struct pcap_tcp_named first = { 0 };
	int is_first = 0;

	while (!is_first && next_line(n)) {
		is_first = !pcap_tcp_named_find(&first, n->name) ||
		    first.line == n->line;
		pcap_tcp_named_close(&first);
	}
	return (is_first);
}

void
pcap_tcp_named_close(struct pcap_tcp_named *n)
{
	if (n->file != NULL)
		fclose(n->file);
	free(n->text);
	memset(n, 0, sizeof(*n));
}
