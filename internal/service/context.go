// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// The process context is defined by OTEP 4719 (opentelemetry-specification,
// oteps/profiles/4719-process-ctx.md): a header in a mapping that is found by its name,
// which points to a message.

const (
	// ContextName is the name of the mapping, signature the start of its contents.
	ContextName = "OTEL_CTX"
	signature   = ContextName
	version     = 2
	// HeaderSize is the length of a header.
	HeaderSize = 32
	// MaxPayload bounds the message; those of SDKs are below 2 KiB.
	MaxPayload = 32 << 10
)

// Header is the header of a process context.
type Header struct {
	// Published is when the message was written; 0: it is being changed.
	Published uint64
	// Payload is the address of the message, Size its length.
	Payload uint64
	Size    uint32
}

// ParseHeader reads a header: signature char[8], version uint32, payload_size uint32,
// monotonic_published_at_ns uint64, payload pointer, in the byte order of the machine, which
// is little endian on all that are supported.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || string(b[:8]) != signature || binary.LittleEndian.Uint32(b[8:]) != version {
		return Header{}, ErrMalformed
	}
	h := Header{
		Size:      binary.LittleEndian.Uint32(b[12:]),
		Published: binary.LittleEndian.Uint64(b[16:]),
		Payload:   binary.LittleEndian.Uint64(b[24:]),
	}
	if h.Published != 0 && (h.Size > MaxPayload || h.Payload+uint64(h.Size) < h.Payload) {
		return Header{}, ErrMalformed
	}
	return h, nil
}

// FromContext reads the message of a process context, of which nothing is taken if it is
// malformed (opentelemetry-proto 1.11, ProcessContext): its attributes of the resource.
func FromContext(payload []byte) (Service, error) {
	var s Service
	err := messages(payload, 1, func(resource []byte) error {
		return messages(resource, 1, s.setKeyValue)
	})
	if err != nil {
		return Service{}, err
	}
	return s, nil
}

// setKeyValue takes a KeyValue{key = 1, value = 2: AnyValue{string_value = 1}}.
func (s *Service) setKeyValue(b []byte) error {
	var key, value string
	if err := messages(b, 1, func(b []byte) error { key = string(b); return nil }); err != nil {
		return err
	}
	if s.field(key) == nil {
		return nil
	}
	err := messages(b, 2, func(any []byte) error {
		return messages(any, 1, func(b []byte) error { value = string(b); return nil })
	})
	if err != nil {
		return err
	}
	return s.set(key, value)
}

// messages yields the fields of a number that have a length, skipping the others.
func messages(b []byte, want protowire.Number, take func([]byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		length := protowire.ConsumeFieldValue(number, kind, b)
		if length < 0 {
			return ErrMalformed
		}
		if number == want && kind == protowire.BytesType {
			field, _ := protowire.ConsumeBytes(b)
			if err := take(field); err != nil {
				return err
			}
		}
		b = b[length:]
	}
	return nil
}
