// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * A writer of thread contexts: OTEP 4947, opentelemetry-specification,
 * oteps/profiles/4947-thread-ctx.md.
 */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <stdint.h>

struct context {
	uint8_t trace[16];
	uint8_t span[8];
	volatile uint8_t valid;
	uint8_t trace_flags;
	uint16_t attributes;
};

/* Makes a record the context of the thread that calls. */
void attach(struct context *record);

#endif
