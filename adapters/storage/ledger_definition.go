package storage

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// definitions are what a replica registers, by job, each job once.
type definitions struct {
	sorted []domain.Definition
	// digest is equal for equal definitions in whatever order.
	digest string
	// prints are the fingerprints by job.
	prints map[string]string
	// given is the slice that they came in.
	given []domain.Definition
}

// from reports whether the slice is the very one that these came in.
func (d *definitions) from(given []domain.Definition) bool {
	if d == nil || len(d.given) != len(given) {
		return false
	}
	return len(given) == 0 || &d.given[0] == &given[0]
}

// definitionsOf returns the definitions with their digest.
func (l *Ledger) definitionsOf(given []domain.Definition) (*definitions, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest.from(given) {
		return l.latest, nil
	}
	sorted := slices.Clone(given)
	slices.SortStableFunc(sorted, func(a, b domain.Definition) int { return cmp.Compare(a.Job, b.Job) })
	once, prints := sorted[:0], make(map[string]string, len(sorted))
	for i := range sorted {
		if err := domain.ValidateScheduledJobName(sorted[i].Job); err != nil {
			return nil, err
		}
		// Of several definitions of a job the last one counts.
		if i+1 == len(sorted) || sorted[i+1].Job != sorted[i].Job {
			once = append(once, sorted[i])
			prints[sorted[i].Job] = sorted[i].Fingerprint
		}
	}
	l.latest = &definitions{sorted: once, digest: digestOf(once), prints: prints, given: given}
	return l.latest, nil
}

func digestOf(sorted []domain.Definition) string {
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

// set returns the definitions as the rows of a statement.
func (d *definitions) set() []any {
	names, prints := make([]string, len(d.sorted)), make([]string, len(d.sorted))
	for i := range d.sorted {
		names[i], prints[i] = d.sorted[i].Job, d.sorted[i].Fingerprint
	}
	return []any{names, prints}
}
