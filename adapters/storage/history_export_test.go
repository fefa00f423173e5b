package storage

import (
	"context"

	"github.com/taktwork/takt/core/domain"
)

// Settings under which queries of the history run on Postgres.
const (
	LookUpAll  = lookUpAll
	InOrderAll = inOrderAll
)

// WithManyKinds makes queries of more kinds than these look at a number of the newest
// records first.
func (s *RunStore) WithManyKinds(kinds, newest int) *RunStore {
	s.manyKinds, s.newest = kinds, newest
	return s
}

// Explained is a statement with its values.
type Explained struct {
	Text string
	Args []any
}

// Statements returns what a query asks the database.
func (s *RunStore) Statements(ctx context.Context, filter domain.RunFilter) ([]Explained, error) {
	telling := &tellingRunner{runner: s.runner}
	explained := &RunStore{runner: telling, dialect: s.dialect, namespace: s.namespace, manyKinds: s.manyKinds, newest: s.newest}
	_, err := explained.Query(ctx, filter)
	return telling.seen, err
}

type tellingRunner struct {
	runner

	seen []Explained
}

func (r *tellingRunner) read(ctx context.Context, statements ...statement) error {
	for i := range statements {
		r.seen = append(r.seen, Explained{statements[i].text, statements[i].args})
	}
	return r.runner.read(ctx, statements...)
}
