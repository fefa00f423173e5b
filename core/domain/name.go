package domain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// QueueName names a queue. Valid names are checked by [QueueName.Validate].
type QueueName string

// JobID identifies a job within its queue. Ids read from a store are opaque
// bytes; ids that callers choose are checked by [JobID.Validate].
type JobID string

const (
	maxQueueName        = 128
	maxScheduledJobName = 128
	maxJobID            = 512
	maxJobName          = 256
)

// Validate reports what is wrong with the name, or nil. A queue name starts
// with a letter or digit and goes on with letters, digits, dots, underscores
// and dashes, 128 bytes at most: a colon would break BullMQ's key layout and
// braces the slots of a cluster.
func (q QueueName) Validate() error {
	if err := checkName(string(q), maxQueueName, "._-"); err != nil {
		return fmt.Errorf("queue name %s: %w", Quote(string(q)), err)
	}
	return nil
}

// ValidateScheduledJobName reports what is wrong with the name of a scheduled
// job, or nil. The alphabet is that of queue names and the slash.
func ValidateScheduledJobName(name string) error {
	if err := checkName(name, maxScheduledJobName, "._-/"); err != nil {
		return fmt.Errorf("scheduled job name %s: %w", Quote(name), err)
	}
	return nil
}

// ValidateJobName reports what is wrong with the name of a queue job, or nil.
// Job names reach Node programs, so anything printable goes, up to 256 bytes.
func ValidateJobName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return Invalidf("job name %s: is empty", Quote(name))
	case name != strings.TrimSpace(name):
		return Invalidf("job name %s: has white space around it", Quote(name))
	case len(name) > maxJobName:
		return Invalidf("job name %s: is %d bytes long, at most %d are allowed", Quote(name), len(name), maxJobName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return Invalidf("job name %s: has characters that do not print", Quote(name))
	}
	return nil
}

// Validate reports what is wrong with an id that a caller chose, or nil.
// Like BullMQ it refuses colons and plain integers, which belong to ids that
// the queue assigns. The empty id is valid: the queue assigns one.
func (id JobID) Validate() error {
	s := string(id)
	switch {
	case s == "":
		return nil
	case len(s) > maxJobID:
		return Invalidf("job id %s: is %d bytes long, at most %d are allowed", Quote(s), len(s), maxJobID)
	case strings.ContainsAny(s, ":{}"):
		return Invalidf("job id %s: must not hold a colon or braces", Quote(s))
	case strings.Trim(s, "0123456789") == "":
		return Invalidf("job id %s: plain integers are assigned by the queue", Quote(s))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return Invalidf("job id %s: has characters that do not print", Quote(s))
	}
	return nil
}

func checkName(s string, limit int, punctuation string) error {
	if s == "" {
		return Invalidf("is empty")
	}
	if len(s) > limit {
		return Invalidf("is %d bytes long, at most %d are allowed", len(s), limit)
	}
	for i, r := range s {
		if isAlphanumeric(r) || (i > 0 && strings.ContainsRune(punctuation, r)) {
			continue
		}
		return Invalidf("character %d (%q) is not allowed: letters and digits, then also %q", i+1, r, punctuation)
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
