/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-log.h - where the events of a device are written: one line each, a
 * sentence and fields behind it (key=value).
 *
 * Nothing here blocks, raises SIGPIPE, or fails in a way that disturbs a
 * program: a line that cannot be written is counted.  A log belongs to one
 * thread at a time.
 */
#ifndef pcap_tcp_log_h
#define pcap_tcp_log_h

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <pcap/pcap.h>

/* Those of syslog(3). */
enum pcap_tcp_log_level {
	PCAP_TCP_LOG_WARNING = 4,
	PCAP_TCP_LOG_NOTICE = 5,
	PCAP_TCP_LOG_INFO = 6
};

struct pcap_tcp_log {
	enum {
		PCAP_TCP_LOG_NOWHERE,
		PCAP_TCP_LOG_STDERR,
		PCAP_TCP_LOG_SYSLOG,
		PCAP_TCP_LOG_FILE
	} to;
	const char *path;	/* of the file; the caller's, as is */
	const char *device;	/* what the program calls it */
	int fd;			/* that is written to, or -1 */
	int terminal;		/* instead of fd, if that is one; or -1 */
	int folder;		/* of the file, or -1 */
	dev_t dev;		/* what fd was when it was opened: if it is */
	ino_t ino;		/* something else now, it is not ours */
	int has_levels;		/* The journal takes a level in front. */
	int is_cut;		/* The last line was. */
	uint64_t lost;		/* lines that could not be written */
};

/* What is written of one source, or of all senders: a line a second. */
struct pcap_tcp_log_share {
	int64_t used_until;	/* pcap_tcp_now() time */
	uint64_t omitted;	/* lines since the last */
};

/* A line that is being made, cut where it is too long. */
struct pcap_tcp_log_line {
	enum pcap_tcp_log_level level;
	size_t length;
	char text[1400];
};

/*
 * Opens the log that where names: "stderr", "syslog", a path with a slash,
 * or, if it is NULL, what $PCAP_TCP_LOG says.  where and device are kept.
 * Returns 0, or -1 with errno and one line in errbuf.
 */
int	pcap_tcp_log_open(struct pcap_tcp_log *log, const char *where,
    const char *device, char *errbuf, size_t size);
void	pcap_tcp_log_close(struct pcap_tcp_log *log);

/*
 * Begins a line with a sentence.  share: whose line it is; NULL: it is not
 * limited.  Returns 1, or 0 if there is nothing to write; log may be NULL.
 */
int	pcap_tcp_log_begin(struct pcap_tcp_log_line *line,
    struct pcap_tcp_log *log, struct pcap_tcp_log_share *share,
    enum pcap_tcp_log_level level, const char *fmt, ...)
    PCAP_PRINTFLIKE(5, 6);

/* Adds a field, whose value is quoted if need be; none if that is empty. */
void	pcap_tcp_log_text(struct pcap_tcp_log_line *line, const char *key,
    const char *value);
void	pcap_tcp_log_number(struct pcap_tcp_log_line *line, const char *key,
    uint64_t value);

/* Adds how often it has happened, unless this is the first time. */
void	pcap_tcp_log_times(struct pcap_tcp_log_line *line, uint64_t times);

/* Writes the line. */
void	pcap_tcp_log_end(struct pcap_tcp_log_line *line,
    struct pcap_tcp_log *log, struct pcap_tcp_log_share *share);

/* Is a line due about what has happened so often?  At 1, 10, 100 ... */
int	pcap_tcp_log_is_due(uint64_t times);

#endif
