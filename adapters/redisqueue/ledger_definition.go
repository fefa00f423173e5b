package redisqueue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// definitions are what a replica registers, by job, each job once.
type definitions struct {
	sorted []domain.Definition
	// digest is equal for equal definitions in whatever order.
	digest string
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
	once := sorted[:0]
	for i := range sorted {
		if err := domain.ValidateScheduledJobName(sorted[i].Job); err != nil {
			return nil, err
		}
		// Of several definitions of a job the last one counts.
		if i+1 == len(sorted) || sorted[i+1].Job != sorted[i].Job {
			once = append(once, sorted[i])
		}
	}
	l.latest = &definitions{sorted: once, digest: digestOf(once), given: given}
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

// register sends the definitions in parts. If the replica is forgotten between
// two of them, or registers others, the next Sync finds out.
func (l *Ledger) register(ctx context.Context, replica string, own *definitions) error {
	for first := 0; ; first += ledgerBatch {
		part := own.sorted[first:min(first+ledgerBatch, len(own.sorted))]
		isLast := first+len(part) == len(own.sorted)
		reply, err := l.call(ctx, "ledger_register", replica, own.digest, first == 0, isLast, packDefinitions(part))
		if err != nil {
			return err
		}
		switch {
		case reply != int64(0) && reply != int64(1):
			return fmt.Errorf("register definitions: %w", errReply)
		case reply == int64(0) || isLast:
			return nil
		}
	}
}

func packDefinitions(part []domain.Definition) string {
	p := newPacker(64 * len(part))
	p.list(2 * len(part))
	for i := range part {
		p.text(part[i].Job)
		p.text(part[i].Fingerprint)
	}
	return p.String()
}
