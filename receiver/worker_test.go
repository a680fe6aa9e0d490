// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
)

// Jobs that are held up keep others back for a moment each, up to a bound, and are done when
// they are let go.
func TestHeldUpJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		w := newWorker("a test", time.Second, func() {}, func(err error) {
			require.EqualError(t, err, "a test takes more than 1s, others do not wait for it")
			told++
		})
		ended := make(chan struct{})
		go func() { w.run(ctx); close(ended) }()

		var order []int
		letGo := make(chan struct{})
		submit := func(n int, held bool) {
			w.submit(func() apply {
				if held {
					<-letGo
				}
				return func(*pipeline.Pipeline) { order = append(order, n) }
			})
		}
		settle := func() {
			for {
				synctest.Wait()
				select {
				case a := <-w.done:
					a(nil)
				default:
					return
				}
			}
		}
		submit(0, false)
		submit(1, true)
		submit(2, false)
		settle()
		require.Equal(t, []int{0}, order, "jobs are done one after the other")
		time.Sleep(time.Second)
		settle()
		require.Equal(t, []int{0, 2}, order)
		require.Equal(t, 1, told)

		for n := range maxHeldUp {
			submit(10+n, true)
		}
		submit(3, false)
		time.Sleep(time.Minute)
		settle()
		require.Equal(t, []int{0, 2}, order, "too many are held up")
		close(letGo)
		settle()
		require.ElementsMatch(t, []int{0, 2, 1, 10, 11, 12, 13, 14, 15, 16, 17, 3}, order)

		letGo = make(chan struct{})
		submit(4, true)
		cancel()
		synctest.Wait()
		select {
		case <-ended:
			require.Fail(t, "a job is under way")
		default:
		}
		close(letGo)
		<-ended
	})
}
