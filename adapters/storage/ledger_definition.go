package storage

import "github.com/taktwork/takt/core/domain"

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

// setOf returns the registration as the rows of a statement.
func setOf(own *domain.Registration) []any {
	names, prints := make([]string, len(own.Definitions)), make([]string, len(own.Definitions))
	for i, d := range own.Definitions {
		names[i], prints[i] = d.Job, d.Fingerprint
	}
	return []any{names, prints}
}
