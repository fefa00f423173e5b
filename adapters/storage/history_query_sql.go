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
	// blocks tells which blocks are searched, instead of rows; nil for rows.
	blocks *blockPage
	args   []any
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

// latest returns the number of the latest record of the namespace, or one that is
// larger than those that an earlier version gave.
func (q *historyQuery) latest() string {
	return "(SELECT " + q.larger("latest", firstNumber) + " FROM histories WHERE namespace = " + q.text(q.namespace) + ")"
}

// firstNumber is below the numbers of the namespace, and above those that an
// earlier version gave.
const firstNumber = "CAST(space AS bigint) << 44"

// following returns the number after which the rows are found that follow on the given
// one: what lies before that of the namespace is others', or of an earlier version.
func (q *historyQuery) following(id int64) string {
	after := q.number(id)
	return fmt.Sprintf("(SELECT %s FROM histories WHERE namespace = %s)",
		q.larger(after, "CASE WHEN "+hasEarlierRows+" THEN "+after+" ELSE "+firstNumber+" END"), q.text(q.namespace))
}

// hasEarlierRows tells whether there are rows that an earlier version numbered.
const hasEarlierRows = "EXISTS (SELECT 1 FROM history AS o WHERE o.id < CAST(1 AS bigint) << 44)"

func (q *historyQuery) larger(a, b string) string {
	if q.dialect == Postgres {
		return "greatest(" + a + ", " + b + ")"
	}
	return "max(" + a + ", " + b + ")"
}

func (q *historyQuery) smaller(a, b string) string {
	if q.dialect == Postgres {
		return "least(" + a + ", " + b + ")"
	}
	return "min(" + a + ", " + b + ")"
}

// limit returns how many records, or blocks, are wanted.
func (q *historyQuery) limit() int {
	if q.blocks != nil {
		return q.blocks.limit
	}
	return q.filter.Limit
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

// rows returns numbers as the table w, with one column.
func (q *historyQuery) rows(column string, numbers []int64) string {
	if q.dialect == Postgres {
		return "unnest(" + q.value(numbers, "bigint[]") + ") AS w (" + column + ")"
	}
	return "(SELECT value AS " + column + " FROM json_each(" + q.value(jsonText(numbers), "") + ")) AS w"
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
