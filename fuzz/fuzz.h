/*
 * Copyright (c) 2026 The pcap-tcp authors
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * fuzz.h - what the libFuzzer targets share
 */

#include <stdint.h>
#include <stdlib.h>

static const uint8_t *next, *end;	/* of the input */

static inline void
check(int holds)
{
	if (!holds)
		abort();
}

/* The input's next one, or 0 behind its end. */
static inline unsigned int
byte(void)
{
	return (next == end ? 0 : *next++);
}
