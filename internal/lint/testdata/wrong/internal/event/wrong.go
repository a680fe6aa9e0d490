// Package event has no licence header.
package event
