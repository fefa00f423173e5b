package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// registrationOf returns the registration of the definitions: most calls of Sync
// bring those of the one before.
func (l *Ledger) registrationOf(given []domain.Definition) (*domain.Registration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest.Of(given) {
		return l.latest, nil
	}
	made, err := domain.NewRegistration(given)
	if err == nil {
		l.latest = made
	}
	return made, err
}

// register sends the definitions in parts. If the replica is forgotten between
// two of them, or registers others, the next Sync finds out.
func (l *Ledger) register(ctx context.Context, replica string, own *domain.Registration) error {
	for first := 0; ; first += ledgerBatch {
		part := own.Definitions[first:min(first+ledgerBatch, len(own.Definitions))]
		isLast := first+len(part) == len(own.Definitions)
		reply, err := l.call(ctx, "ledger_register", replica, own.Digest, first == 0, isLast, packDefinitions(part))
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
