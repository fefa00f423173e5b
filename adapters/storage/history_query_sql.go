package storage

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// historyQuery writes one statement that answers a filter. Only what the
// filter has is in its text, so that the plan suits it.
type historyQuery struct {
	dialect   Dialect
	namespace string
	filter    *domain.RunFilter
	args      []any
	// here is the number of the namespace, once it is asked for.
	here string
}

func (s *RunStore) query(filter *domain.RunFilter) *historyQuery {
	return &historyQuery{dialect: s.dialect, namespace: s.namespace, filter: filter}
}

// space returns the number of the namespace.
func (q *historyQuery) space() string {
	if q.here == "" {
		q.here = "(SELECT space FROM histories WHERE namespace = " + q.text(q.namespace) + ")"
	}
	return q.here
}

// value adds a value to the statement and returns how it is written there.
func (q *historyQuery) value(v any, kind string) string {
	q.args = append(q.args, v)
	if q.dialect == Postgres {
		return fmt.Sprintf("?%d::%s", len(q.args), kind)
	}
	return fmt.Sprintf("?%d", len(q.args))
}

func (q *historyQuery) text(v string) string  { return q.value(v, "text") }
func (q *historyQuery) number(v int64) string { return q.value(v, "bigint") }

// anyOf returns a condition that the value before it is one of these.
func (q *historyQuery) anyOf(texts []string) string {
	if q.dialect == Postgres {
		return "= ANY (" + q.value(texts, "text[]") + ")"
	}
	return "IN (SELECT value FROM json_each(" + q.value(jsonText(texts), "") + "))"
}

// rows returns numbers as the table w, with the column kind.
func (q *historyQuery) rows(kinds []int64) string {
	if q.dialect == Postgres {
		return "unnest(" + q.value(kinds, "integer[]") + ") AS w (kind)"
	}
	return "(SELECT value AS kind FROM json_each(" + q.value(jsonText(kinds), "") + ")) AS w"
}

// among returns a condition that the id before it is one of those that the
// query finds for a row of w.
func (q *historyQuery) among(query string) string {
	if q.dialect == Postgres {
		return "= ANY (ARRAY(" + query + "))"
	}
	return "IN (" + query + ")"
}

func jsonText(values any) string {
	text, err := json.Marshal(values)
	if err != nil {
		return "[]"
	}
	return string(text)
}

func (q *historyQuery) statement(text string) statement {
	if q.dialect == Postgres {
		text = strings.ReplaceAll(text, "?", "$")
	}
	return statement{text: text, args: q.args, looksUp: true, inOrder: true}
}
