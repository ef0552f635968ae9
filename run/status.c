/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * status - what the open PCAP-over-IP devices of this machine are doing:
 *
 *	status			for people
 *	status --watch		for people, each second
 *	status prometheus	for node_exporter's textfile collector, in the
 *				Prometheus text format 0.0.4
 *
 * It shows the processes that the user may look into: their own, or all to
 * root.  Those that have changed their user, as tcpdump does, are root's.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "look.h"

static int64_t
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Milliseconds in the two largest units that people read. */
static const char *
duration(int64_t ms, char text[32])
{
	long long s = ms < 0 ? 0 : ms / 1000;

	if (s < 60)
		snprintf(text, 32, "%lld s", s);
	else if (s < 60 * 60)
		snprintf(text, 32, "%lld min %lld s", s / 60, s % 60);
	else if (s < 24 * 60 * 60)
		snprintf(text, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
	else
		snprintf(text, 32, "%lld d %lld h", s / 86400, s / 3600 % 24);
	return (text);
}

static void
print_state(const struct pcap_tcp_source *s, int64_t time)
{
	static const char *const names[] = { "", "trying", "up", "retrying",
	    "gone" };
	char text[32];

	printf("  %-24s %s for %s", s->name, names[s->state],
	    duration(time - s->since, text));
	if (s->state == PCAP_TCP_SOURCE_RETRYING && s->due > time)
		printf(", again in %s", duration(s->due - time, text));
	putchar('\n');
}

static void
print_source(const struct pcap_tcp_source *s, int64_t time)
{
	char text[32];

	print_state(s, time);
	if (s->streams > 0) {
		printf("    %s, %s", s->format, s->linktype);
		if (s->security.version[0] != '\0')
			printf(", %s", s->security.version);
		printf(", %" PRIu64 " records, %" PRIu64 " bytes, %" PRIu64
		    " dropped, %" PRIu64 " streams\n", s->records, s->bytes,
		    s->dropped, s->streams);
	}
	if (s->records > 0)
		printf("    last read %s ago, its clock %+.3f s from ours\n",
		    duration(time - s->read_at, text),
		    (double)(s->last_stamp - s->read_at) / 1000);
	if (s->failures > 0)
		printf("    failed %" PRIu64 " times, last %s ago: %s\n",
		    s->failures, duration(time - s->failed_at, text),
		    s->error);
}

static void
print_for_people(const struct look *list)
{
	const int64_t time = now();
	char text[32];
	uint32_t i;

	if (list == NULL)
		printf("no PCAP-over-IP device is open, or none that may be "
		    "looked at\n");
	for (; list != NULL; list = list->next) {
		printf("%s[%ld] %s, open for %s\n", list->status->program,
		    (long)list->pid, list->status->device,
		    duration(time - list->status->opened_at, text));
		for (i = 0; i < list->status->nsources; i++) {
			if (list->status->source[i].state >=
			    PCAP_TCP_SOURCE_TRYING &&
			    list->status->source[i].state <=
			    PCAP_TCP_SOURCE_GONE)
				print_source(&list->status->source[i], time);
		}
	}
}

static double
is_up(const struct pcap_tcp_source *s)
{
	return (s->state == PCAP_TCP_SOURCE_UP);
}

static double
since(const struct pcap_tcp_source *s)
{
	return ((double)s->since / 1000);
}

static double
streams(const struct pcap_tcp_source *s)
{
	return ((double)s->streams);
}

static double
records(const struct pcap_tcp_source *s)
{
	return ((double)s->records);
}

static double
bytes(const struct pcap_tcp_source *s)
{
	return ((double)s->bytes);
}

static double
dropped(const struct pcap_tcp_source *s)
{
	return ((double)s->dropped);
}

static double
failures(const struct pcap_tcp_source *s)
{
	return ((double)s->failures);
}

static double
last_read(const struct pcap_tcp_source *s)
{
	return ((double)s->read_at / 1000);
}

static double
delay(const struct pcap_tcp_source *s)
{
	return (s->records == 0 ? 0 :
	    (double)(s->read_at - s->last_stamp) / 1000);
}

static const struct metric {
	const char *name, *type, *help;
	double (*value)(const struct pcap_tcp_source *s);
} metrics[] = {
	{ "up", "gauge", "Whether the source has a stream.", is_up },
	{ "state_since_seconds", "gauge",
	    "When the source came to its state, Unix time.", since },
	{ "streams_total", "counter", "Streams that have begun.", streams },
	{ "records_total", "counter", "Packets before any filter.", records },
	{ "bytes_total", "counter", "Bytes of the streams.", bytes },
	{ "dropped_total", "counter",
	    "Packets that the sender says it dropped.", dropped },
	{ "failures_total", "counter",
	    "Attempts and streams that are over.", failures },
	{ "last_read_seconds", "gauge",
	    "When something was read last, Unix time.", last_read },
	{ "delay_seconds", "gauge",
	    "From the last packet's time stamp to its arrival.", delay },
};

static void
print_label(const char *name, const char *value)
{
	printf("%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar(*value);
	}
	putchar('"');
}

static void
print_sample(const struct metric *m, const struct look *l,
    const struct pcap_tcp_source *s)
{
	printf("pcap_tcp_source_%s{pid=\"%ld\",handle=\"%" PRIuMAX "\",",
	    m->name, (long)l->pid, (uintmax_t)l->ino);
	print_label("program", l->status->program);
	putchar(',');
	print_label("device", l->status->device);
	putchar(',');
	print_label("source", s->name);
	printf("} %.17g\n", m->value(s));
}

/* Senders that have left are no longer counted: others may have their names. */
static int
is_shown(const struct pcap_tcp_source *s)
{
	return (s->state != PCAP_TCP_SOURCE_NONE &&
	    !(s->is_sender && s->state == PCAP_TCP_SOURCE_GONE));
}

static void
print_for_prometheus(const struct look *list)
{
	const struct metric *m;
	const struct look *l;
	uint32_t i;

	for (m = metrics; m < metrics + sizeof(metrics) / sizeof(metrics[0]);
	    m++) {
		printf("# HELP pcap_tcp_source_%s %s\n# TYPE "
		    "pcap_tcp_source_%s %s\n", m->name, m->help, m->name,
		    m->type);
		for (l = list; l != NULL; l = l->next) {
			for (i = 0; i < l->status->nsources; i++) {
				if (is_shown(&l->status->source[i]))
					print_sample(m, l,
					    &l->status->source[i]);
			}
		}
	}
}

int
main(int argc, char **argv)
{
	const int watches = argc > 1 && strcmp(argv[1], "--watch") == 0;
	const int for_prometheus = argc > 1 &&
	    strcmp(argv[1], "prometheus") == 0;
	struct look *list;

	do {
		list = look_for(0);
		/* Home, and clear what is below. */
		if (watches && isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		if (for_prometheus)
			print_for_prometheus(list);
		else
			print_for_people(list);
		look_free(list);
		if (fflush(stdout) != 0)
			return (1);
	} while (watches && sleep(1) == 0);
	return (0);
}
