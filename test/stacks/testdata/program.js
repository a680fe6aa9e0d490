// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Hashes for ever: the time is spent in native code that JavaScript calls.
const crypto = require('crypto');
const data = Buffer.alloc(1 << 16, 'x');

function burn() {
  for (;;) crypto.createHash('sha256').update(data).digest();
}

console.log('ready');
burn();
