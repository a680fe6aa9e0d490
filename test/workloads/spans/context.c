// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

#include "context.h"

__attribute__((visibility("default"))) __thread struct context *otel_thread_ctx_v1;

/* So that the variable of interest is not at the begin of the block. */
__thread char room[40] = "room";

__attribute__((visibility("default"))) void attach(struct context *record)
{
	*(struct context *volatile *)&otel_thread_ctx_v1 = record;
}
