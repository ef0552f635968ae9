/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * unit-bytes.h - bytes that come from a script and not from a connection, and
 * pcap streams for it
 */

#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "pcap-tcp-bytes.h"
#include "unit-linktypes.h"

#define FILE_HEADER	24U	/* bytes */
#define RECORD_HEADER	16U

/* What one read returns; more than it asks for is left for the next one. */
struct fake_read {
	struct fake_read *next;
	int error;		/* an errno value; 0: bytes, none at the end */
	const char *text;	/* what errno does not say */
	size_t size, taken;
	u_char data[];
};

/* When the script is through, there is nothing to read for now. */
struct fake {
	struct pcap_tcp_bytes bytes;	/* first */
	struct fake_read *first, **last;
	const char *error;
	int pending;
	int reads;		/* so far */
};

static int open_fakes;

static inline ssize_t
fake_read(struct pcap_tcp_bytes *b, void *buf, size_t size)
{
	struct fake *f = (struct fake *)b;
	struct fake_read *r = f->first;

	assert_true(size > 0);
	f->reads++;
	f->error = r == NULL ? NULL : r->text;
	errno = r == NULL ? EAGAIN : r->error;
	if (errno == 0) {
		if (size > r->size - r->taken)
			size = r->size - r->taken;
		memcpy(buf, r->data + r->taken, size);
		r->taken += size;
		if (r->taken < r->size)
			return ((ssize_t)size);
	}
	if (r != NULL) {
		f->first = r->next;
		if (f->first == NULL)
			f->last = &f->first;
		free(r);
	}
	return (errno == 0 ? (ssize_t)size : -1);
}

static inline int
fake_pending(const struct pcap_tcp_bytes *b)
{
	return (((const struct fake *)b)->pending);
}

static inline const char *
fake_error(const struct pcap_tcp_bytes *b)
{
	return (((const struct fake *)b)->error);
}

static inline void
fake_close(struct pcap_tcp_bytes *b)
{
	struct fake *f = (struct fake *)b;
	struct fake_read *r;

	while ((r = f->first) != NULL) {
		f->first = r->next;
		free(r);
	}
	if (b->fd != -1)
		close(b->fd);
	free(f);
	open_fakes--;
}

/* Its descriptor is readable all the time, so that nobody waits. */
static inline struct fake *
fake_new(void)
{
	static const struct pcap_tcp_bytes_ops ops = {
		.read = fake_read, .pending = fake_pending,
		.error = fake_error, .close = fake_close
	};
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->bytes.ops = &ops;
	f->bytes.fd = eventfd(1, EFD_CLOEXEC);
	assert_true(f->bytes.fd != -1);
	f->bytes.wanted = POLLIN;
	f->bytes.established = 1;
	f->last = &f->first;
	open_fakes++;
	return (f);
}

/* From now on its descriptor says that there is nothing. */
static inline void
fake_mute(struct fake *f)
{
	uint64_t count;

	assert_int_equal(read(f->bytes.fd, &count, sizeof(count)),
	    sizeof(count));
}

static inline void
fake_add(struct fake *f, int error, const char *text, const void *data,
    size_t size)
{
	struct fake_read *r = malloc(sizeof(*r) + size);

	assert_non_null(r);
	*r = (struct fake_read){ .error = error, .text = text, .size = size };
	if (size > 0)
		memcpy(r->data, data, size);
	*f->last = r;
	f->last = &r->next;
}

static inline void
fake_gives(struct fake *f, const void *data, size_t size)
{
	fake_add(f, 0, NULL, data, size);
}

static inline void
fake_fails(struct fake *f, int error, const char *text)
{
	fake_add(f, error, text, NULL, 0);
}

static inline void
fake_ends(struct fake *f)
{
	fake_add(f, 0, NULL, NULL, 0);
}

/* Parts of a stream, in this machine's byte order; they return their size. */
static inline size_t
put_file_header(u_char *to, uint32_t snaplen, uint32_t linktype)
{
	const uint32_t version = 2 | 4 << 16, swapped = 2 << 16 | 4;
	const uint16_t one = 1;
	const uint32_t header[] = { MAGIC_USEC,
	    *(const u_char *)&one ? version : swapped, 0, 0, snaplen,
	    linktype };

	memcpy(to, header, sizeof(header));
	return (sizeof(header));
}

static inline size_t
put_record_header(u_char *to, uint32_t sec, uint32_t usec, uint32_t caplen)
{
	const uint32_t header[] = { sec, usec, caplen, caplen };

	memcpy(to, header, sizeof(header));
	return (sizeof(header));
}

/* With bytes in it that tell one packet, and each of its bytes, apart. */
static inline size_t
put_packet(u_char *to, uint32_t sec, uint32_t caplen)
{
	size_t size = put_record_header(to, sec, 0, caplen);
	uint32_t i;

	for (i = 0; i < caplen; i++)
		to[size++] = (u_char)(sec + i % 251);
	return (size);
}

static inline void
assert_packet(const struct pcap_tcp_record *r, uint32_t sec, uint32_t caplen)
{
	uint32_t i;

	assert_int_equal(r->h.ts.tv_sec, sec);
	assert_int_equal(r->h.caplen, caplen);
	for (i = 0; i < caplen; i++) {
		if (r->data[i] != (u_char)(sec + i % 251))
			fail_msg("byte %u of packet %u", i, sec);
	}
}
