package domain

import "time"

// Deduplication makes a queue keep at most one job of a key. The job that
// holds the key is its owner; Mode says what becomes of jobs that come while
// there is one. The zero value does nothing.
type Deduplication struct {
	Key  string
	Mode DeduplicationMode
	// TTL ends the key's hold that long after the owner came, whether or not
	// that is done by then; zero holds it until the owner is finished or removed.
	TTL time.Duration
}

// DeduplicationMode says what becomes of a job whose key another one holds.
type DeduplicationMode string

const (
	// DedupDrop drops the job. Without a TTL the key is free again when its
	// owner is done; with one it is a throttle, one job in each TTL.
	DedupDrop DeduplicationMode = ""
	// DedupExtend drops the job and begins the TTL anew.
	DedupExtend DeduplicationMode = "extend"
	// DedupReplace puts the job in the place of an owner that is delayed, which
	// is removed; the TTL goes on. While the owner waits or is worked, the job is
	// dropped.
	DedupReplace DeduplicationMode = "replace"
	// DedupDebounce is DedupReplace with a TTL that begins anew at each
	// replacement: with a delay as long, the last job of a burst runs.
	DedupDebounce DeduplicationMode = "debounce"
	// DedupKeepLast keeps the job while the owner is being worked, in the place
	// of one that was kept before, and adds it when the owner is done. It
	// knows no TTL.
	DedupKeepLast DeduplicationMode = "keep-last"
	// DedupReplaceOrKeepLast replaces an owner that is delayed, as DedupReplace
	// does, and keeps the job while the owner is being worked, as DedupKeepLast does.
	DedupReplaceOrKeepLast DeduplicationMode = "replace-or-keep-last"
	// DedupReschedule drops the job, and an owner that is delayed is due when the
	// job would have been.
	DedupReschedule DeduplicationMode = "reschedule"
)

// Replaces tells whether the job takes the place of a delayed owner.
func (m DeduplicationMode) Replaces() bool {
	return m == DedupReplace || m == DedupDebounce || m == DedupReplaceOrKeepLast
}

// KeepsLast tells whether the job is kept while the owner is being worked.
func (m DeduplicationMode) KeepsLast() bool {
	return m == DedupKeepLast || m == DedupReplaceOrKeepLast
}

// Extends tells whether the TTL begins anew.
func (m DeduplicationMode) Extends() bool { return m == DedupExtend || m == DedupDebounce }

// Validate reports what is wrong with the deduplication, or nil.
func (d Deduplication) Validate() error {
	switch d.Mode {
	case DedupDrop, DedupExtend, DedupReplace, DedupDebounce, DedupKeepLast, DedupReplaceOrKeepLast, DedupReschedule:
	default:
		return Invalidf("deduplication mode %s is unknown", Quote(string(d.Mode)))
	}
	switch {
	case d.TTL < 0:
		return Invalidf("deduplication TTL %s is negative", d.TTL)
	case d.Key == "" && d.Mode != DedupDrop:
		return Invalidf("deduplication mode %s needs a key", d.Mode)
	case d.Mode.Extends() && d.TTL < time.Millisecond:
		return Invalidf("deduplication mode %s needs a TTL of at least 1ms", d.Mode)
	case d.Mode.KeepsLast() && d.TTL > 0:
		return Invalidf("deduplication mode %s holds its key until the owner is done, without a TTL", d.Mode)
	}
	return nil
}
