/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-report.c - what a person learns of one peer
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pcap-tcp-events.h"
#include "pcap-tcp-report.h"

#define LASTED		60000	/* ms: what ends a stream then is news */

void
pcap_tcp_report_init(struct pcap_tcp_report *r,
    struct pcap_tcp_source *source, struct pcap_tcp_log *log,
    struct pcap_tcp_log_share *senders, const char *name)
{
	memset(r, 0, sizeof(*r));
	memset(source, 0, sizeof(*source));
	r->source = source;
	r->log = log;
	r->share = senders != NULL ? senders : &r->own_share;
	source->is_sender = senders != NULL;
	snprintf(source->name, sizeof(source->name), "%s", name);
}

void
pcap_tcp_report_state(struct pcap_tcp_report *r,
    enum pcap_tcp_source_state state, int64_t due)
{
	r->since = pcap_tcp_now();
	r->source->since = pcap_tcp_status_now();
	r->source->due = r->source->since + due;
	r->source->state = state;
}

void
pcap_tcp_report_connected(struct pcap_tcp_report *r, int64_t ms)
{
	r->source->connected_at = pcap_tcp_status_now();
	r->source->connect_time = (uint32_t)ms;
}

void
pcap_tcp_report_silence(struct pcap_tcp_report *r, const char *hint)
{
	struct pcap_tcp_log_line line;

	if (!pcap_tcp_log_is_due(r->times + 1) ||
	    !pcap_tcp_log_begin(&line, r->log, r->share,
	    PCAP_TCP_LOG_WARNING, "%s took the connection but has sent "
	    "nothing for a second%s", r->source->name, hint))
		return;
	pcap_tcp_log_text(&line, "peer", r->source->name);
	pcap_tcp_log_end(&line, r->log, r->share);
}

void
pcap_tcp_report_stream(struct pcap_tcp_report *r,
    const struct pcap_tcp_stream *s)
{
	const struct pcap_tcp_decoder *d = &s->decoder;
	const char *linktype = d->shared->linktypes->name(d->origin.dlt);
	struct pcap_tcp_source *source = r->source;
	struct pcap_tcp_log_line line;

	source->streams++;
	source->snaplen = d->snaplen;
	snprintf(source->format, sizeof(source->format), "%s", d->format);
	if (linktype != NULL)
		snprintf(source->linktype, sizeof(source->linktype), "%s",
		    linktype);
	else
		snprintf(source->linktype, sizeof(source->linktype), "%d",
		    d->origin.dlt);
	memset(&source->security, 0, sizeof(source->security));
	pcap_tcp_bytes_describe(s->bytes, &source->security);
	/* Nor is it told each time that the stream comes back. */
	if (r->times > 1 && !pcap_tcp_log_is_due(r->times + 1))
		return;
	if (!pcap_tcp_log_begin(&line, r->log, r->share, PCAP_TCP_LOG_INFO,
	    "%s %s", source->is_sender ? "receiving from" : "connected to",
	    source->name))
		return;
	pcap_tcp_log_text(&line, "peer", source->name);
	pcap_tcp_log_text(&line, "format", source->format);
	pcap_tcp_log_text(&line, "linktype", source->linktype);
	if (d->shared->dlt_is_given && d->origin.dlt != d->dlt)
		pcap_tcp_log_text(&line, "becomes", "EN10MB");
	pcap_tcp_log_number(&line, "snaplen", source->snaplen);
	pcap_tcp_log_text(&line, "tls", source->security.version);
	pcap_tcp_log_text(&line, "subject", source->security.subject);
	pcap_tcp_log_end(&line, r->log, r->share);
}

/* Of a text, but not of the numbers in it, such as where damage was. */
static uint64_t
hash_words(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325U;	/* FNV-1a */

	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			hash = (hash ^ (unsigned char)*text) *
			    0x100000001b3U;
	}
	return (hash);
}

/* What has happened, with the peer's name where the error lacks it. */
static const char *
what_failed(const struct pcap_tcp_report *r, const struct pcap_tcp_stream *s,
    const char *error, char *text, size_t size)
{
	const char *name = r->source->name;
	int is_named = strstr(error, name) != NULL;

	snprintf(text, size, "%s%s%s", s->decoder.started ? "lost " :
	    r->source->is_sender ? "refused " : "", is_named ? "" : name,
	    is_named ? "" : ": ");
	return (text);
}

void
pcap_tcp_report_failure(struct pcap_tcp_report *r,
    const struct pcap_tcp_stream *s, const char *error, int64_t due)
{
	struct pcap_tcp_source *source = r->source;
	const int64_t now = pcap_tcp_status_now();
	const int64_t lasted = pcap_tcp_now() - r->since;
	const uint64_t failure = hash_words(error);
	struct pcap_tcp_log_line line;
	char what[160];

	source->failed_at = now;
	source->failures++;
	snprintf(source->error, sizeof(source->error), "%s", error);
	r->times = failure == r->failure && lasted < LASTED ?
	    r->times + 1 : 1;
	r->failure = failure;
	if (!pcap_tcp_log_is_due(r->times) ||
	    !pcap_tcp_log_begin(&line, r->log, r->share,
	    s->errnum == 0 && s->decoder.started ? PCAP_TCP_LOG_NOTICE :
	    PCAP_TCP_LOG_WARNING, "%s%s",
	    what_failed(r, s, error, what, sizeof(what)), error))
		return;
	pcap_tcp_log_text(&line, "peer", source->name);
	if (s->decoder.started) {
		pcap_tcp_log_number(&line, "records", s->records);
		pcap_tcp_log_number(&line, "bytes", s->decoder.offset);
		pcap_tcp_log_number(&line, "seconds",
		    (uint64_t)lasted / 1000);
	}
	if (due != -1)
		pcap_tcp_log_number(&line, "retry_ms", (uint64_t)due);
	pcap_tcp_log_times(&line, r->times);
	pcap_tcp_log_end(&line, r->log, r->share);
}

void
pcap_tcp_report_stall(struct pcap_tcp_report *r, int64_t ms)
{
	struct pcap_tcp_log_line line;

	if (r->stalled == r->source->read_at)
		return;
	r->stalled = r->source->read_at;
	if (!pcap_tcp_log_is_due(++r->stalls) ||
	    !pcap_tcp_log_begin(&line, r->log, r->share,
	    PCAP_TCP_LOG_NOTICE, "%s is silent while others send: they no "
	    "longer wait for it", r->source->name))
		return;
	pcap_tcp_log_text(&line, "peer", r->source->name);
	pcap_tcp_log_number(&line, "silent_ms", (uint64_t)ms);
	pcap_tcp_log_times(&line, r->stalls);
	pcap_tcp_log_end(&line, r->log, r->share);
}
