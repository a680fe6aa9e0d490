// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package completion_test

import (
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

// owners is a cache of who a process belongs to. A dead process is still asked
// for as long as profiles of it may come, and no longer.
type owners struct {
	mu    sync.Mutex
	names map[process]string
	ended map[process]completion.KTime
}

// process is never a PID alone: another process may get that.
type process struct {
	pid   int
	start completion.KTime
}

// exited is called when the cache learns of the end of a process.
func (o *owners) exited(p process, at completion.KTime) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended[p] = at
}

// Completed implements completion.Listener. It is called in a goroutine of its
// own, so the state it shares is locked.
func (o *owners) Completed(c completion.Completion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, at := range o.ended {
		if at <= c.Until {
			fmt.Printf("%s is done up to %d ns: forget %s\n", c.Receiver, c.Until, o.names[p])
			delete(o.names, p)
			delete(o.ended, p)
		}
	}
}

// A cache drops what it knows of a process once no profile of it can come.
//
// An extension of the same collector that implements Listener is named in
// completion_listeners; a program that embeds the receiver passes one to
// NewFactory with WithListener.
func ExampleListener() {
	first, second := process{42, 1_000}, process{42, 9_000}
	cache := &owners{
		names: map[process]string{first: "the checkout", second: "the search"},
		ended: map[process]completion.KTime{},
	}
	var listener completion.Listener = cache

	// The receiver calls this twice a second.
	complete := func(until completion.KTime) {
		listener.Completed(completion.Completion{
			Receiver: component.MustNewID("ebpf_profiler"), Until: until,
		})
	}
	cache.exited(first, 8_000)
	complete(7_999) // profiles of the first may still come
	complete(8_500)
	fmt.Println("left:", cache.names[second])
	// Output:
	// ebpf_profiler is done up to 8500 ns: forget the checkout
	// left: the search
}
