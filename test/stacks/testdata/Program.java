// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

import java.util.Random;
import java.util.zip.Deflater;

/** Compresses for ever: the time is spent in native code that Java calls. */
class Program {
    static void burn() {
        byte[] in = new byte[1 << 16], out = new byte[1 << 17];
        new Random(1).nextBytes(in);
        for (;;) {
            Deflater deflater = new Deflater(9);
            deflater.setInput(in);
            deflater.finish();
            deflater.deflate(out);
            deflater.end();
        }
    }

    public static void main(String[] arguments) {
        System.out.println("ready");
        burn();
    }
}
