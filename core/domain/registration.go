package domain

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// Registration is what a replica registers, in a form that ledgers can compare.
type Registration struct {
	// Definitions are sorted by job, each job once. Nobody changes them.
	Definitions []Definition
	// Digest is equal for equal definitions in whatever order.
	Digest string

	given []Definition
}

// NewRegistration returns the registration of the definitions. Of several of
// one job the last one counts. A job whose name is not that of a scheduled job is
// [ErrInvalid].
func NewRegistration(given []Definition) (*Registration, error) {
	sorted := slices.Clone(given)
	slices.SortStableFunc(sorted, func(a, b Definition) int { return cmp.Compare(a.Job, b.Job) })
	once := sorted[:0]
	for i := range sorted {
		if err := ValidateScheduledJobName(sorted[i].Job); err != nil {
			return nil, err
		}
		if i+1 == len(sorted) || sorted[i+1].Job != sorted[i].Job {
			once = append(once, sorted[i])
		}
	}
	return &Registration{Definitions: once, Digest: digestOf(once), given: given}, nil
}

// Of reports whether r was made of this very slice, which spares making it anew.
// It is false for nil.
func (r *Registration) Of(given []Definition) bool {
	if r == nil || len(r.given) != len(given) {
		return false
	}
	return len(given) == 0 || &r.given[0] == &given[0]
}

// Find returns where the definition of the job is, and whether it is there.
func (r *Registration) Find(job string) (at int, registered bool) {
	return slices.BinarySearchFunc(r.Definitions, job, func(d Definition, job string) int { return cmp.Compare(d.Job, job) })
}

// Fingerprint returns that of the job, and whether the job is registered.
func (r *Registration) Fingerprint(job string) (fingerprint string, registered bool) {
	i, registered := r.Find(job)
	if !registered {
		return "", false
	}
	return r.Definitions[i].Fingerprint, true
}

func digestOf(sorted []Definition) string {
	hash := sha256.New()
	var text []byte
	for i := range sorted {
		text = text[:0]
		for _, s := range []string{sorted[i].Job, sorted[i].Fingerprint} {
			text = append(binary.AppendUvarint(text, uint64(len(s))), s...)
		}
		hash.Write(text)
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16])
}
