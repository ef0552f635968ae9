/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * try DEVICE - opens a device as a program does, reads it for two seconds, and
 * says what it found of each source.
 *
 * Exit status: 0, each source has a stream and sent packets; 1, the device is
 * open, but that does not hold of each; 2, it cannot be opened.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "look.h"

#define SECONDS		2	/* of reading */
#define CLOCK_DIFFERS	2000	/* ms that are worth a word */

static double
monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec / 1e9);
}

static void
ignore(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	(void)h;
	(void)data;
}

static pcap_t *
open_device(const char *device)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_create(device, errbuf);

	if (p == NULL) {
		printf("%s\n", errbuf);
		return (NULL);
	}
	pcap_set_timeout(p, 100);
	if (pcap_activate(p) >= 0)
		return (p);
	printf("%s\n", pcap_geterr(p));
	pcap_close(p);
	return (NULL);
}

/* Returns for how long it read, in seconds; says what it was told. */
static double
read_device(pcap_t *p)
{
	const double began = monotonic();
	int status = 0;

	while (status >= 0 && monotonic() - began < SECONDS)
		status = pcap_dispatch(p, -1, ignore, NULL);
	if (status < 0)
		printf("%s\n", pcap_geterr(p));
	return (monotonic() - began);
}

static void
print_security(const struct pcap_tcp_security *s)
{
	char until[32] = "";
	time_t t = (time_t)s->valid_until;
	struct tm tm;

	if (s->version[0] == '\0')
		return;
	printf("  %s", s->version);
	if (s->subject[0] != '\0')
		printf(", %s", s->subject);
	if (t != 0 && gmtime_r(&t, &tm) != NULL &&
	    strftime(until, sizeof(until), "%Y-%m-%d %H:%M UTC", &tm) > 0)
		printf(", certificate valid until %s", until);
	putchar('\n');
}

/* Returns 1 if there is nothing to say against it. */
static int
print_source(const struct pcap_tcp_source *s, double seconds)
{
	const int64_t ahead = s->last_stamp - s->read_at;

	printf("%s\n", s->name);
	if (s->connected_at != 0)
		printf("  connected in %" PRIu32 " ms\n", s->connect_time);
	print_security(&s->security);
	if (s->streams > 0)
		printf("  %s, link type %s, snapshot length %" PRIu32 "\n",
		    s->format, s->linktype, s->snaplen);
	if (s->records > 0) {
		printf("  %" PRIu64 " packets, %" PRIu64 " bytes in %.1f s: "
		    "%.0f packets a second\n", s->records, s->bytes, seconds,
		    (double)s->records / seconds);
		printf("  the last one's time stamp is %+.3f s from our "
		    "clock\n", (double)ahead / 1000);
	} else
		printf("  no packet in %d seconds\n", SECONDS);
	if (s->failures > 0)
		printf("  %s\n", s->error);
	else if (s->streams == 0)
		printf("  no stream yet%s\n", s->connected_at != 0 &&
		    s->security.version[0] == '\0' ?
		    " (a TLS server needs tls:)" : "");
	if (s->records > 0 && (ahead > CLOCK_DIFFERS ||
	    -ahead > CLOCK_DIFFERS))
		printf("  for programs that judge by the clock: "
		    "timestamps=arrival\n");
	return (s->records > 0);
}

static int
has_option(const char *device, const char *option)
{
	const size_t length = strlen(option);

	while ((device = strchr(device, ',')) != NULL) {
		device += 1 + strspn(device + 1, " ");
		if (strncasecmp(device, option, length) == 0)
			return (1);
	}
	return (0);
}

static void
advise(pcap_t *p, const char *device)
{
	int *types, n, i;

	/* What a named device has is in its line. */
	if (strchr(device, ':') != NULL && !has_option(device, "reconnect"))
		printf("a sensor should have reconnect=yes, and log=syslog or "
		    "the like\n");
	if (pcap_datalink(p) == DLT_EN10MB)
		return;
	n = pcap_list_datalinks(p, &types);
	for (i = 0; i < n; i++) {
		if (types[i] == DLT_EN10MB)
			printf("for programs that want Ethernet: "
			    "linktype=EN10MB\n");
	}
	if (n > 0)
		pcap_free_datalinks(types);
}

int
main(int argc, char **argv)
{
	struct look *list;
	double seconds;
	uint32_t i;
	int is_good = 1;
	pcap_t *p;

	if (argc != 2)
		return (2);
	p = open_device(argv[1]);
	if (p == NULL)
		return (2);
	list = look_for(getpid());
	if (list == NULL) {
		printf("%s is no PCAP-over-IP device\n", argv[1]);
		pcap_close(p);
		return (2);
	}
	look_free(list);
	seconds = read_device(p);
	list = look_for(getpid());
	for (i = 0; i < list->status->nsources; i++) {
		if (list->status->source[i].state != PCAP_TCP_SOURCE_NONE)
			is_good &= print_source(&list->status->source[i],
			    seconds);
	}
	advise(p, list->status->device);
	look_free(list);
	pcap_close(p);
	return (is_good ? 0 : 1);
}
