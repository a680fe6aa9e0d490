// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package service

import "strings"

const (
	nameVariable       = "OTEL_SERVICE_NAME"
	attributesVariable = "OTEL_RESOURCE_ATTRIBUTES"
)

// Variables are the environment variables that say something of a service.
var Variables = []string{nameVariable, attributesVariable}

// FromVariables reads them. The name of the service has a variable of its own, which wins.
// Of a malformed variable nothing is taken (OpenTelemetry specification, resource/sdk.md,
// "Specifying resource information via an environment variable").
func FromVariables(variables map[string]string) (s Service, malformed int) {
	var named, listed Service
	if err := named.set(NameKey, strings.TrimSpace(variables[nameVariable])); err != nil {
		malformed++
	}
	if err := listed.setAll(variables[attributesVariable]); err != nil {
		listed = Service{}
		malformed++
	}
	return named.Or(listed), malformed
}

// setAll takes a list "key=value,key=value", written as W3C Baggage without properties: in
// keys and values whatever may not stand there as it is, is percent-encoded.
func (s *Service) setAll(list string) error {
	for member := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(member) == "" {
			continue // RFC 9110, 5.6.1.2: who reads a list has to accept empty elements
		}
		key, value, ok := strings.Cut(member, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return ErrMalformed
		}
		decodedKey, ok := decode(key)
		decodedValue, okValue := decode(strings.TrimSpace(value))
		if !ok || !okValue {
			return ErrMalformed
		}
		if err := s.set(decodedKey, decodedValue); err != nil {
			return err
		}
	}
	return nil
}

// decode undoes percent-encoding. (net/url does, too, but imports the network.)
func decode(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if len(s) < i+3 {
			return "", false
		}
		high, low := digit(s[i+1]), digit(s[i+2])
		if high|low > 0xf {
			return "", false
		}
		out = append(out, high<<4|low)
		i += 2
	}
	return string(out), true
}

// digit is the value of a hexadecimal digit, more than 15 if it is none.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
