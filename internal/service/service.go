// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package service knows what a program says about the service that it is part of: by the
// environment variables of OpenTelemetry and by its process context. Any program may say
// anything.
package service

import (
	"errors"
	"unicode/utf8"
)

// Service is what a program may say, by the semantic conventions. Whatever the kernel or
// the orchestrator knows better, such as its container, it is not asked for, and the
// telemetry.sdk.* of its other telemetry is not what makes its profiles.
type Service struct {
	Name, Namespace, InstanceID, Version, Environment string
}

// maxValue is the longest value that is believed, in bytes: those of Kubernetes are up to
// 253.
const maxValue = 256

// ErrMalformed: what a program said is not understood, or too long.
var ErrMalformed = errors.New("what the program says of its service is malformed")

// NameKey is the key of Service.Name.
const NameKey = "service.name"

// field returns the place of an attribute, or nil for those that are left out.
func (s *Service) field(key string) *string {
	switch key {
	case NameKey:
		return &s.Name
	case "service.namespace":
		return &s.Namespace
	case "service.instance.id":
		return &s.InstanceID
	case "service.version":
		return &s.Version
	case "deployment.environment.name":
		return &s.Environment
	}
	return nil
}

var keys = [...]string{NameKey, "service.namespace", "service.instance.id", "service.version", "deployment.environment.name"}

// set takes an attribute. An empty value says nothing; of several values the last counts, as
// with SDKs.
func (s *Service) set(key, value string) error {
	field := s.field(key)
	switch {
	case field == nil, value == "":
		return nil
	case len(value) > maxValue, !utf8.ValidString(value):
		return ErrMalformed
	}
	*field = value
	return nil
}

// All yields the attributes that are known.
func (s Service) All(yield func(key, value string) bool) {
	for _, key := range keys {
		if value := *s.field(key); value != "" && !yield(key, value) {
			return
		}
	}
}

// Or returns s, with what it does not know from another.
func (s Service) Or(other Service) Service {
	for _, key := range keys {
		if field := s.field(key); *field == "" {
			*field = *other.field(key)
		}
	}
	return s
}
