// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

// Functions calls visit with the addresses of all functions, ascending, and where in the
// names that it returns theirs begins, until it returns an error. A name ends with a zero
// byte. What follows a function up to the next belongs to it, as it does for the Go runtime.
func Functions(in Input, visit func(start, end uint64, name uint32) error) (names []byte, err error) {
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	if names, err = r.names.view(0, r.names.size); err != nil {
		return nil, err
	}
	return names, r.each(0, r.funcs, func(e entry) error {
		record, err := r.records.view(e.record, uint64(r.record))
		if err != nil {
			return err
		}
		return visit(r.start+uint64(e.start), r.start+uint64(e.end), r.field(record, fieldName))
	})
}
