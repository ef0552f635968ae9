/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * look.c - finds the open devices of programs
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "look.h"

#define LINK	"/memfd:" PCAP_TCP_STATUS_NAME " (deleted)"
#define MAX_SOURCES	1024

/* Root looks at what others have written. */
static void
make_printable(char *text, size_t size)
{
	size_t i;

	text[size - 1] = '\0';
	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
}

static void
clean(struct pcap_tcp_status *s)
{
	struct pcap_tcp_source *source;
	uint32_t i;

	make_printable(s->program, sizeof(s->program));
	make_printable(s->device, sizeof(s->device));
	for (i = 0; i < s->nsources; i++) {
		source = &s->source[i];
		make_printable(source->name, sizeof(source->name));
		make_printable(source->error, sizeof(source->error));
		make_printable(source->format, sizeof(source->format));
		make_printable(source->linktype, sizeof(source->linktype));
		make_printable(source->security.version,
		    sizeof(source->security.version));
		make_printable(source->security.subject,
		    sizeof(source->security.subject));
	}
}

/* Returns a copy, or NULL if it is none of ours. */
static struct pcap_tcp_status *
copy(int fd)
{
	struct pcap_tcp_status head, *s;
	size_t size;

	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    head.version != PCAP_TCP_STATUS_VERSION ||
	    head.nsources > MAX_SOURCES)
		return (NULL);
	size = sizeof(head) + head.nsources * sizeof(s->source[0]);
	s = malloc(size);
	if (s != NULL && pread(fd, s, size, 0) == (ssize_t)size) {
		s->nsources = head.nsources;
		clean(s);
		return (s);
	}
	free(s);
	return (NULL);
}

static int
is_listed(const struct look *list, ino_t ino)
{
	while (list != NULL && list->ino != ino)
		list = list->next;
	return (list != NULL);
}

/* Adds it behind the list's end; returns the new end. */
static struct look **
add(struct look **list, struct look **end, pid_t pid, int fd)
{
	struct look *l;
	struct stat st;

	if (fstat(fd, &st) == -1 || is_listed(*list, st.st_ino))
		return (end);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return (end);
	l->pid = pid;
	l->ino = st.st_ino;
	l->status = copy(fd);
	if (l->status == NULL) {
		free(l);
		return (end);
	}
	*end = l;
	return (&l->next);
}

static struct look **
look_into(struct look **list, struct look **end, pid_t pid)
{
	char path[64], target[sizeof(LINK) + 1];
	struct dirent *entry;
	DIR *dir;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	dir = opendir(path);
	if (dir == NULL)
		return (end);
	while ((entry = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), entry->d_name, target,
		    sizeof(target));
		if (n != (ssize_t)strlen(LINK) ||
		    memcmp(target, LINK, strlen(LINK)) != 0)
			continue;
		fd = openat(dirfd(dir), entry->d_name,
		    O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd == -1)
			continue;
		end = add(list, end, pid, fd);
		close(fd);
	}
	closedir(dir);
	return (end);
}

static int
is_process(const struct dirent *entry)
{
	return (entry->d_name[0] >= '1' && entry->d_name[0] <= '9');
}

static int
by_number(const struct dirent **a, const struct dirent **b)
{
	long x = atol((*a)->d_name), y = atol((*b)->d_name);

	return ((x > y) - (x < y));
}

struct look *
look_for(pid_t pid)
{
	struct look *list = NULL, **end = &list;
	struct dirent **entries;
	int i, n;

	if (pid != 0) {
		(void)look_into(&list, end, pid);
		return (list);
	}
	n = scandir("/proc", &entries, is_process, by_number);
	for (i = 0; i < n; i++) {
		end = look_into(&list, end, (pid_t)atol(entries[i]->d_name));
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return (list);
}

void
look_free(struct look *list)
{
	struct look *next;

	for (; list != NULL; list = next) {
		next = list->next;
		free(list->status);
		free(list);
	}
}
