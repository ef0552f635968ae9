/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * reader - reads a device the ways that libpcap programs do, and prints what
 * it got, a line each:
 *
 *	OPEN dlt= ext= snaplen=
 *	P SECONDS.FRACTION CAPLEN LEN CHECKSUM		(-p)
 *	END STATUS TEXT		each time that a read returns less than 0
 *	STATS recv= drop= packets= reads= longest_ms= wakeups=
 *	LEAK descriptors= bytes=	(-o: what the opens left; -o -N:
 *						the failed ones)
 *
 * -B N: opens the device N times and reads each stream to its end or fault,
 * whatever that is; with -r the arguments are files instead. Each begins with
 * a line STREAM; END 0 is a clean end, END -1 a fault, OPEN -1 a refusal.
 * With -l FILE each stream has the next line of FILE for its filter, and
 * FILTER -1 says that it did not compile.
 *
 * A byte on standard input is a pcap_breakloop() from another thread,
 * SIGUSR1 one from a signal handler.
 */

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

static struct {
	const char *mode;	/* loop dispatch next select poll epoll edge */
	int per_call;		/* packets a read, event modes */
	long count;		/* packets to stop after */
	int ends;		/* ENDs to stop after */
	int timeout, snaplen, nano, print, nonblock;
	int idle;		/* ms without an event to stop after */
	const char *filter;
	const char *filter2;	/* from the second packet on */
	long break_from;	/* break at each packet from this one on */
	int until_end;		/* stop after the END of the stream itself */
	int again;		/* activate again after a failure */
	int nested;		/* the first callback reads, too */
	useconds_t slow;	/* takes so long for a packet */
	int wait;		/* for a byte on standard input, then read */
	int fork;		/* a child has the handle too, */
	int daemon;		/* or only a child has it */
	int batch, files;
	FILE *filters;
	int opens;		/* open and close so many times first, */
	int fail;		/* and it has to fail */
} opt = { .mode = "loop", .per_call = -1, .count = -1, .ends = 1, .idle = -1 };

static pcap_t *handle;
static long packets, reads, longest, wakeups;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "reader: %s: %s\n", what, why);
	exit(1);
}

static int
try_filter(pcap_t *p, const char *filter)
{
	struct bpf_program program;

	if (pcap_compile(p, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == -1 ||
	    pcap_setfilter(p, &program) == -1)
		return (-1);
	pcap_freecode(&program);
	return (0);
}

static void
set_filter(pcap_t *p, const char *filter)
{
	if (try_filter(p, filter) == -1)
		die(filter, pcap_geterr(p));
}

static void
on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	uint32_t sum = 1;
	bpf_u_int32 i;

	(void)user;
	packets++;
	if (opt.nested && packets == 1)
		pcap_dispatch(handle, 1, on_packet, NULL);
	if (opt.print) {
		for (i = 0; i < h->caplen; i++)
			sum = sum * 31 + data[i];
		printf(opt.nano ? "P %" PRIu64 ".%09lu %u %u %08x\n" :
		    "P %" PRIu64 ".%06lu %u %u %08x\n",
		    (uint64_t)h->ts.tv_sec, (unsigned long)h->ts.tv_usec,
		    h->caplen, h->len, sum);
	}
	if (opt.slow > 0)
		usleep(opt.slow);
	if (opt.filter2 != NULL && packets == 1)
		set_filter(handle, opt.filter2);
	if ((opt.count > 0 && packets >= opt.count) ||
	    (opt.break_from > 0 && packets >= opt.break_from))
		pcap_breakloop(handle);
}

static pcap_t *
open_device(const char *device)
{
	char errbuf[PCAP_ERRBUF_SIZE] = "";
	pcap_t *p = pcap_create(device, errbuf);
	int status;

	if (p == NULL)
		die("pcap_create", errbuf);
	if (opt.snaplen > 0)
		pcap_set_snaplen(p, opt.snaplen);
	pcap_set_promisc(p, 1);
	pcap_set_timeout(p, opt.timeout);
	if (opt.nano && pcap_set_tstamp_precision(p,
	    PCAP_TSTAMP_PRECISION_NANO) != 0)
		die("precision", pcap_geterr(p));
	errno = 0;
	status = pcap_activate(p);
	if (status != 0 && opt.again)
		status = pcap_activate(p);
	if (status != 0 && opt.fail) {
		pcap_close(p);
		return (NULL);
	}
	if (status != 0) {
		fprintf(stderr, "reader: pcap_activate: %d %s (errno %d)\n",
		    status, pcap_geterr(p), errno);
		pcap_close(p);
		exit(1);
	}
	if (opt.filter != NULL)
		set_filter(p, opt.filter);
	if (opt.nonblock && pcap_setnonblock(p, 1, errbuf) == -1)
		die("pcap_setnonblock", errbuf);
	return (p);
}

static void
on_signal(int sig)
{
	(void)sig;
	pcap_breakloop(handle);
}

static void *
break_thread(void *arg)
{
	char c;

	(void)arg;
	while (read(0, &c, 1) == 1)
		pcap_breakloop(handle);
	return (NULL);
}

static long
milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static int
read_once(int count)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	long began = milliseconds(), took;
	int status;

	reads++;
	if (count != 1)
		status = pcap_dispatch(handle, count, on_packet, NULL);
	else
		status = pcap_next_ex(handle, &h, &data);
	took = milliseconds() - began;
	if (took > longest)
		longest = took;
	if (count == 1 && status == 1)
		on_packet(NULL, h, data);
	return (status);
}

/* Waits for the selectable descriptor; 0 if it stays quiet. */
static int
wait_event(int fd, int epoll_fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	struct timeval tv = { opt.idle / 1000, opt.idle % 1000 * 1000 };
	struct epoll_event event;
	fd_set set;
	int n;

	if (strcmp(opt.mode, "select") == 0) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		n = select(fd + 1, &set, NULL, NULL,
		    opt.idle < 0 ? NULL : &tv);
	} else if (strcmp(opt.mode, "poll") == 0)
		n = poll(&pfd, 1, opt.idle);
	else
		n = epoll_wait(epoll_fd, &event, 1, opt.idle);
	wakeups++;
	return (n != 0);
}

static int
is_event_mode(void)
{
	return (strcmp(opt.mode, "loop") != 0 &&
	    strcmp(opt.mode, "dispatch") != 0 && strcmp(opt.mode, "next") != 0);
}

/* Reads until a read says less than 0; 1 if nothing comes any more. */
static int
read_until_end(int fd, int epoll_fd)
{
	int status;

	if (strcmp(opt.mode, "loop") == 0)
		return (pcap_loop(handle, -1, on_packet, NULL));
	for (;;) {
		if (is_event_mode() && !wait_event(fd, epoll_fd))
			return (1);
		do {
			status = read_once(strcmp(opt.mode, "next") == 0 ? 1 :
			    opt.per_call);
			if (status < 0)
				return (status);
			/* An edge is not repeated: read all there is. */
		} while (status > 0 && strcmp(opt.mode, "edge") == 0);
	}
}

static void
run(void)
{
	struct epoll_event event;
	int fd = pcap_get_selectable_fd(handle), epoll_fd, ends = 0, status;

	epoll_fd = epoll_create1(0);
	event.events = EPOLLIN |
	    (strcmp(opt.mode, "edge") == 0 ? (uint32_t)EPOLLET : 0);
	event.data.fd = fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
		die("epoll_ctl", "failed");
	do {
		status = read_until_end(fd, epoll_fd);
		if (status == 1) {
			printf("IDLE\n");
			break;
		}
		printf("END %d %s\n", status,
		    status == 0 ? "" : pcap_geterr(handle));
		if (opt.until_end && *pcap_geterr(handle) != '\0')
			break;
	} while (++ends < opt.ends && (opt.count < 0 || packets < opt.count));
	if (pcap_get_selectable_fd(handle) != fd || pcap_fileno(handle) != fd)
		die("selectable descriptor", "changed");
	close(epoll_fd);
}

static void
print_stats(void)
{
	struct pcap_stat ps;

	if (pcap_stats(handle, &ps) == -1)
		die("pcap_stats", pcap_geterr(handle));
	printf("STATS recv=%u drop=%u packets=%ld reads=%ld longest_ms=%ld "
	    "wakeups=%ld\n", ps.ps_recv, ps.ps_drop + ps.ps_ifdrop, packets,
	    reads, longest, wakeups);
}

static int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

static void
open_once(const char *device)
{
	pcap_t *p = open_device(device);

	if (p != NULL)
		pcap_close(p);
}

static void
open_and_close(const char *device)
{
	size_t bytes;
	int descriptors;

	/* The first time, the C library makes buffers of its own. */
	open_once(device);
	descriptors = count_descriptors();
	bytes = mallinfo2().uordblks;
	for (; opt.opens > 1; opt.opens--)
		open_once(device);
	printf("LEAK descriptors=%d bytes=%zd\n",
	    count_descriptors() - descriptors,
	    (ssize_t)(mallinfo2().uordblks - bytes));
}

/* One stream of a batch; what failed says the status, not the text. */
static void
read_stream(const char *name)
{
	char errbuf[PCAP_ERRBUF_SIZE], filter[256];
	int status;

	printf("STREAM\n");
	if (!opt.files)
		handle = open_device(name);
	else
		handle = pcap_open_offline_with_tstamp_precision(name,
		    opt.nano ? PCAP_TSTAMP_PRECISION_NANO :
		    PCAP_TSTAMP_PRECISION_MICRO, errbuf);
	if (handle == NULL) {
		printf("OPEN -1\n");
		return;
	}
	printf("OPEN dlt=%d ext=%u\n", pcap_datalink(handle),
	    (unsigned int)pcap_datalink_ext(handle));
	if (opt.filters != NULL && fgets(filter, sizeof(filter),
	    opt.filters) != NULL && try_filter(handle, filter) == -1)
		printf("FILTER -1\n");
	packets = 0;
	status = pcap_loop(handle, -1, on_packet, NULL);
	printf("END %d\n", status == PCAP_ERROR_BREAK ? 0 : status);
	if (status == PCAP_ERROR)
		fprintf(stderr, "%s\n", pcap_geterr(handle));
	pcap_close(handle);
}

static void
parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv,
	    "B:DF:KRab:c:e:f:i:k:l:m:no:prs:t:uwxz:")) != -1) {
		switch (c) {
		case 'B': opt.batch = atoi(optarg); opt.fail = 1; break;
		case 'D': opt.daemon = 1; break;
		case 'F': opt.filter2 = optarg; break;
		case 'K': opt.fork = 1; break;
		case 'R': opt.nested = 1; break;
		case 'a': opt.again = 1; break;
		case 'b': opt.break_from = atol(optarg); break;
		case 'c': opt.count = atol(optarg); break;
		case 'e': opt.ends = atoi(optarg); break;
		case 'f': opt.filter = optarg; break;
		case 'i': opt.idle = atoi(optarg); break;
		case 'k': opt.per_call = atoi(optarg); break;
		case 'l': opt.filters = fopen(optarg, "r"); break;
		case 'm': opt.mode = optarg; break;
		case 'n': opt.nano = 1; break;
		case 'o': opt.opens = atoi(optarg); break;
		case 'p': opt.print = 1; break;
		case 'r': opt.files = 1; break;
		case 's': opt.snaplen = atoi(optarg); break;
		case 't': opt.timeout = atoi(optarg); break;
		case 'u': opt.until_end = 1; break;
		case 'w': opt.wait = 1; break;
		case 'x': opt.nonblock = 1; break;
		case 'z': opt.slow = (useconds_t)atoi(optarg); break;
		default: exit(2);
		}
	}
	opt.nonblock |= is_event_mode();
}

int
main(int argc, char **argv)
{
	pthread_t thread;
	pid_t parent;

	parse(argc, argv);
	if (opt.files) {
		for (; optind < argc; optind++)
			read_stream(argv[optind]);
		return (0);
	}
	for (; opt.batch > 0; opt.batch--) {
		read_stream(argv[optind]);
		if (opt.batch == 1)
			return (0);
	}
	setlinebuf(stdout);
	if (optind + 1 != argc)
		die("usage", "reader [options] DEVICE");
	if (opt.opens < 0) {
		opt.fail = 1;
		opt.opens = -opt.opens;
	}
	if (opt.opens > 0)
		open_and_close(argv[optind]);
	if (opt.fail)
		return (0);
	handle = open_device(argv[optind]);
	signal(SIGUSR1, on_signal);
	printf("OPEN dlt=%d ext=%u snaplen=%d\n", pcap_datalink(handle),
	    (unsigned int)pcap_datalink_ext(handle), pcap_snapshot(handle));
	if (opt.wait && getchar() == EOF)
		return (1);
	if (opt.daemon && daemon(1, 1) == -1)
		die("daemon", "failed");
	parent = getpid();
	if (opt.fork && fork() == 0) {
		while (getppid() == parent)
			usleep(10000);
		_exit(0);
	}
	pthread_create(&thread, NULL, break_thread, NULL);
	run();
	print_stats();
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	pcap_close(handle);
	return (0);
}
