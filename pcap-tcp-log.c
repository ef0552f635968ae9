/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * pcap-tcp-log.c - where the events of a device are written
 */

#define _GNU_SOURCE	/* secure_getenv(), O_PATH */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pcap-tcp-address.h"
#include "pcap-tcp-events.h"
#include "pcap-tcp-file.h"
#include "pcap-tcp-log.h"

#define BURST		16	/* lines of a share that may come at once */
#define PERIOD		1000	/* ms for each of those behind them */

/* Remembers what the descriptor is; returns -1 if it is closed. */
static int
know(struct pcap_tcp_log *log)
{
	struct stat st;

	if (fstat(log->fd, &st) == -1)
		return (-1);
	log->dev = st.st_dev;
	log->ino = st.st_ino;
	return (0);
}

static int
is_known(const struct pcap_tcp_log *log, const struct stat *st)
{
	return (st->st_dev == log->dev && st->st_ino == log->ino);
}

/* systemd.exec(5): is stderr the journal's? */
static int
is_journal(const struct pcap_tcp_log *log)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;

	return (stream != NULL &&
	    sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 &&
	    dev == log->dev && ino == log->ino);
}

static int
open_stderr(struct pcap_tcp_log *log)
{
	/* A program without one has said that nobody listens. */
	log->fd = STDERR_FILENO;
	if (know(log) == -1)
		log->to = PCAP_TCP_LOG_NOWHERE;
	/*
	 * A terminal says that it is writable if there is room for a part of
	 * a line, and the flag of the program's own descriptor is not ours.
	 */
	else if (isatty(log->fd))
		log->terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK |
		    O_NOCTTY | O_CLOEXEC);
	log->has_levels = is_journal(log);
	return (0);
}

/* Also when syslog has gone and come again. */
static int
connect_to_syslog(struct pcap_tcp_log *log)
{
	const struct sockaddr_un sun = { AF_UNIX, "/dev/log" };

	return (connect(log->fd, (const struct sockaddr *)&sun, sizeof(sun)));
}

static int
open_syslog(struct pcap_tcp_log *log)
{
	log->has_levels = 1;
	log->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return (log->fd == -1 || know(log) == -1 ? -1 :
	    connect_to_syslog(log));
}

/* Without the folder, as the program may be in another root by now. */
static const char *
file_name(const struct pcap_tcp_log *log)
{
	return (strrchr(log->path, '/') + 1);
}

/* O_NONBLOCK is for a FIFO. */
static int
open_file(struct pcap_tcp_log *log)
{
	int fd = openat(log->folder, file_name(log), O_WRONLY | O_APPEND |
	    O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);

	if (fd == -1)
		return (-1);
	if (log->fd != -1)
		close(log->fd);
	log->fd = fd;
	log->is_cut = 0;
	return (know(log));
}

static int
open_folder(struct pcap_tcp_log *log)
{
	char *folder = strndup(log->path,
	    (size_t)(file_name(log) - log->path));

	if (folder == NULL)
		return (-1);
	log->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	return (log->folder == -1 ? -1 : open_file(log));
}

/* Whoever names a file would have it written with the program's rights. */
static int
open_named_file(struct pcap_tcp_log *log, const char *path)
{
	if (getauxval(AT_SECURE) != 0) {
		errno = EPERM;
		return (-1);
	}
	log->to = PCAP_TCP_LOG_FILE;
	log->path = path;
	return (open_folder(log));
}

int
pcap_tcp_log_open(struct pcap_tcp_log *log, const char *where,
    const char *device, char *errbuf, size_t size)
{
	const char *option = where != NULL ? "log" : "$PCAP_TCP_LOG";
	const time_t any = 0;
	struct tm tm;
	int status = 0;

	memset(log, 0, sizeof(*log));
	log->fd = log->folder = log->terminal = -1;
	log->device = device;
	if (where == NULL)
		where = secure_getenv("PCAP_TCP_LOG");
	if (where == NULL || *where == '\0')
		return (0);
	/* Has glibc open its time zone's file now, not in a sandbox. */
	(void)gmtime_r(&any, &tm);
	if (strcasecmp(where, "stderr") == 0) {
		log->to = PCAP_TCP_LOG_STDERR;
		status = open_stderr(log);
	} else if (strcasecmp(where, "syslog") == 0) {
		log->to = PCAP_TCP_LOG_SYSLOG;
		status = open_syslog(log);
	} else if (strchr(where, '/') != NULL) {
		status = open_named_file(log, where);
	} else {
		snprintf(errbuf, size, "%s=%.100s: expected stderr, syslog, "
		    "or a file's path with a \"/\"", option, where);
		errno = EINVAL;
		return (-1);
	}
	if (status == 0)
		return (0);
	status = errno;
	pcap_tcp_fmt_errno(errbuf, size, status, "cannot write to %s=%.150s",
	    option, where);
	pcap_tcp_log_close(log);
	errno = status;
	return (-1);
}

void
pcap_tcp_log_close(struct pcap_tcp_log *log)
{
	if (log->to == PCAP_TCP_LOG_NOWHERE)
		return;
	if (log->to != PCAP_TCP_LOG_STDERR && log->fd != -1)
		close(log->fd);
	if (log->folder != -1)
		close(log->folder);
	if (log->terminal != -1)
		close(log->terminal);
	log->to = PCAP_TCP_LOG_NOWHERE;
}

int
pcap_tcp_log_is_due(uint64_t times)
{
	while (times >= 10 && times % 10 == 0)
		times /= 10;
	return (times == 1);
}

/*
 * Making a line.
 */

/* Those that a peer may have sent do nothing to a terminal or to a parser. */
static void
add_char(struct pcap_tcp_log_line *line, char c)
{
	if (line->length < sizeof(line->text) - 1)
		line->text[line->length++] = c >= ' ' && c <= '~' ? c : '?';
}

static void
add(struct pcap_tcp_log_line *line, const char *text)
{
	while (*text != '\0')
		add_char(line, *text++);
}

static void
add_number(struct pcap_tcp_log_line *line, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	add(line, text);
}

/* RFC 3339 in UTC: what is local is in a file that a sandbox may not have. */
static void
add_time(struct pcap_tcp_log_line *line)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	add(line, text);
	snprintf(text, sizeof(text), ".%03ldZ ", ts.tv_nsec / 1000000);
	add(line, text);
}

/* May it have a line now? */
static int
take_share(struct pcap_tcp_log_share *share)
{
	int64_t now = pcap_tcp_now();

	if (share->used_until < now)
		share->used_until = now;
	if (share->used_until - now > (BURST - 1) * PERIOD) {
		share->omitted++;
		return (0);
	}
	share->used_until += PERIOD;
	return (1);
}

int
pcap_tcp_log_begin(struct pcap_tcp_log_line *line, struct pcap_tcp_log *log,
    struct pcap_tcp_log_share *share, enum pcap_tcp_log_level level,
    const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (log == NULL || log->to == PCAP_TCP_LOG_NOWHERE ||
	    (share != NULL && !take_share(share)))
		return (0);
	line->level = level;
	line->length = 0;
	if (log->has_levels) {
		snprintf(text, sizeof(text), "<%d>", (int)level |
		    (log->to == PCAP_TCP_LOG_SYSLOG ? LOG_DAEMON : 0));
		add(line, text);
	} else
		add_time(line);
	snprintf(text, sizeof(text), "pcap-tcp[%ld]: ", (long)getpid());
	add(line, text);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(line, text);
	snprintf(text, sizeof(text), "%s", log->device);
	pcap_tcp_log_text(line, "device", text);
	return (1);
}

void
pcap_tcp_log_text(struct pcap_tcp_log_line *line, const char *key,
    const char *value)
{
	int quoted = strpbrk(value, " \"\\=") != NULL;

	if (*value == '\0')
		return;
	add(line, " ");
	add(line, key);
	add(line, quoted ? "=\"" : "=");
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			add_char(line, '\\');
		add_char(line, *value);
	}
	if (quoted)
		add_char(line, '"');
}

void
pcap_tcp_log_number(struct pcap_tcp_log_line *line, const char *key,
    uint64_t value)
{
	add(line, " ");
	add(line, key);
	add(line, "=");
	add_number(line, value);
}

void
pcap_tcp_log_times(struct pcap_tcp_log_line *line, uint64_t times)
{
	if (times > 1)
		pcap_tcp_log_number(line, "times", times);
}

/*
 * Writing it.
 */

/*
 * Where there is room for the line now: a pipe has some for a whole one when
 * it says that it is writable, and raises SIGPIPE only where it says POLLERR.
 * A terminal that has tostop set would stop a program in the background.
 */
static ssize_t
put(int fd, const char *text, size_t size)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	sigset_t stop, saved;
	ssize_t n = send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n != -1 || errno != ENOTSOCK)
		return (n);
	if (poll(&pfd, 1, 0) != 1 || pfd.revents != POLLOUT)
		return (-1);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &stop, &saved);
	n = write(fd, text, size);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return (n);
}

static ssize_t
put_to_syslog(struct pcap_tcp_log *log, const char *text, size_t size)
{
	ssize_t n = put(log->fd, text, size);

	/* A full queue is no reason to connect again. */
	if (n != -1 || errno == EAGAIN || connect_to_syslog(log) == -1)
		return (n);
	return (put(log->fd, text, size));
}

/* A program may have closed the descriptor, and have another file there. */
static ssize_t
write_line(struct pcap_tcp_log *log, const char *text, size_t size)
{
	struct stat st;
	int fd;

	if (log->to == PCAP_TCP_LOG_FILE && (fstatat(log->folder,
	    file_name(log), &st, 0) == -1 || !is_known(log, &st)))
		(void)open_file(log);
	if (fstat(log->fd, &st) == -1 || !is_known(log, &st) ||
	    (S_ISREG(st.st_mode) &&
	    !pcap_tcp_file_may_have((uint64_t)st.st_size + size + 1)))
		return (-1);
	if (log->to == PCAP_TCP_LOG_SYSLOG)
		return (put_to_syslog(log, text, size));
	fd = log->terminal != -1 ? log->terminal : log->fd;
	if (log->is_cut && put(fd, "\n", 1) != 1)
		return (-1);
	log->is_cut = 0;
	return (put(fd, text, size));
}

void
pcap_tcp_log_end(struct pcap_tcp_log_line *line, struct pcap_tcp_log *log,
    struct pcap_tcp_log_share *share)
{
	int saved_errno = errno;
	ssize_t n;

	if (share != NULL && share->omitted > 0)
		pcap_tcp_log_number(line, "omitted", share->omitted);
	if (log->lost > 0)
		pcap_tcp_log_number(line, "lost", log->lost);
	line->text[line->length++] = '\n';
	n = write_line(log, line->text, line->length);
	if (n == (ssize_t)line->length) {
		log->lost = 0;
		if (share != NULL)
			share->omitted = 0;
	} else {
		log->lost++;
		log->is_cut = n > 0;
	}
	errno = saved_errno;
}
