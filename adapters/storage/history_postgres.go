package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// postgresHistory writes each batch with one message, again if the reply was
// lost: the server knows the writer's latest batch by its number.
type postgresHistory struct {
	runner    runner
	namespace string
	writer    int64
	batch     int64
}

func newPostgresHistory(runner runner, namespace string) *postgresHistory {
	return &postgresHistory{runner: runner, namespace: namespace, writer: rand.Int64()}
}

func (a *postgresHistory) append(ctx context.Context, batch *historyBatch) error {
	a.batch++
	inDoubt := false
	for wait := repeatFirst; ; wait = min(2*wait, repeatMost) {
		err := a.runner.write(ctx, a.statements(batch)...)
		for isCollision(err) {
			err = a.runner.write(ctx, a.statements(batch)...)
		}
		inDoubt = inDoubt || isDoubtful(err)
		if err == nil || ctx.Err() != nil || !inDoubt {
			return err
		}
		pause(ctx, wait)
	}
}

func (a *postgresHistory) statements(b *historyBatch) []statement {
	b.divide()
	try := rand.Int64()
	head := []any{a.namespace, a.writer, try}
	records := appendRecordsSQL
	if b.fielded || b.begun {
		records = appendIndexedSQL
	}
	kinds := kindColumns(a.namespace, b.kinds)
	args := append(append([]any{}, head...), kinds[0], b.kind)
	for _, i := range b.shape.columns() {
		if i < historyNumbers {
			args = append(args, b.numbers[i])
		} else {
			args = append(args, b.texts[i-historyNumbers])
		}
	}
	statements := []statement{
		{text: sqlNewHistory, args: []any{a.namespace}},
		{text: sqlBeginBatch, args: append(append([]any{}, head...), a.batch, len(b.kind))},
		{text: sqlNewKinds, args: append(append([]any{}, head...), kinds...), looksUp: true},
		{text: records(b.shape), args: args, looksUp: true},
	}
	if len(b.ended.subjects) > 0 {
		args := append(append([]any{}, head...), b.ended.subjects, b.ended.atUS)
		statements = append(statements, statement{text: sqlEnd, args: args, looksUp: true})
	}
	return statements
}

func kindColumns(namespace string, kinds []historyKind) []any {
	var columns [6][]string
	digests, fielded := make([][]byte, len(kinds)), make([]bool, len(kinds))
	for i := range columns {
		columns[i] = make([]string, len(kinds))
	}
	for i := range kinds {
		k := &kinds[i]
		digests[i] = k.digest(namespace)
		for c, text := range []string{k.job, k.origin, k.queue, k.jobName, k.event, k.replica} {
			columns[c][i] = text
		}
		fielded[i] = k.fielded
	}
	args := append(make([]any, 0, len(columns)+2), digests)
	for i := range columns {
		args = append(args, columns[i])
	}
	return append(args, fielded)
}

const sqlNewHistory = `
INSERT INTO histories (namespace, records)
SELECT $1::text, 0 WHERE NOT EXISTS (SELECT 1 FROM histories WHERE namespace = $1)
ON CONFLICT DO NOTHING`

// A batch that was written before begins no more.
const sqlBeginBatch = `
WITH begun AS (
    INSERT INTO history_writers AS w (writer, batch, try, at_us)
    VALUES ($2::bigint, $4::bigint, $3::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, try = excluded.try, at_us = excluded.at_us
    WHERE w.batch < excluded.batch
    RETURNING 1
)
UPDATE histories SET records = records + $5::bigint FROM begun WHERE namespace = $1::text`

// sqlHead is the namespace, if this try began the batch.
const sqlHead = `(SELECT h.space FROM histories AS h, history_writers AS w
        WHERE h.namespace = $1::text AND w.writer = $2::bigint AND w.try = $3::bigint OFFSET 0) AS head`

const sqlNewKinds = `
INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded)
SELECT head.space, b.digest, b.job, b.origin, b.queue, b.job_name, b.event, b.replica, b.fielded
FROM ` + sqlHead + ` CROSS JOIN unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[])
    AS b (digest, job, origin, queue, job_name, event, replica, fielded)
WHERE NOT EXISTS (SELECT 1 FROM history_kinds AS k WHERE k.digest = b.digest)`

// appendRecordsSQL writes the columns of the shape. Rows are numbered in their
// order in the arrays: there is one row of what is known, and joins by hash and
// merge are off.
func appendRecordsSQL(shape historyShape) string {
	columns, values, types := "kind, space", "known.kinds[r.kind], known.space", "$5::bigint[]"
	names, next := "kind", 6
	for _, i := range shape.columns() {
		name, kind, none := historyColumnList()[i], "bigint", "0"
		switch {
		case i >= historyNumbers:
			kind, none = "text", "''"
		case i == plannedColumn, i == untilColumn:
			none = strconv.Itoa(absent)
		}
		value := "r." + name
		if i != atColumn {
			value = "nullif(r." + name + ", " + none + ")"
		}
		columns, values, names = columns+", "+name, values+", "+value, names+", "+name
		types += fmt.Sprintf(", $%d::%s[]", next, kind)
		next++
	}
	return `
INSERT INTO history (` + columns + `)
SELECT ` + values + `
FROM (
    SELECT head.space, array_agg(k.kind ORDER BY b.n) AS kinds
    FROM ` + sqlHead + ` CROSS JOIN unnest($4::bytea[]) WITH ORDINALITY AS b (digest, n)
        JOIN history_kinds AS k ON k.digest = b.digest
    GROUP BY head.space
) AS known
CROSS JOIN unnest(` + types + `) AS r (` + names + `)`
}

// appendIndexedSQL writes also by what else the records are found.
func appendIndexedSQL(shape historyShape) string {
	return `
WITH added AS (` + appendRecordsSQL(shape) + ` RETURNING id, kind, space, at_us, subject, fields
), fields AS (
    INSERT INTO history_fields (path, value, kind, at_us, id)
    SELECT DISTINCT f->>0, f->>1, added.kind, added.at_us, added.id
    FROM added CROSS JOIN json_array_elements(added.fields::json) AS f
    WHERE added.fields IS NOT NULL
)
INSERT INTO history_under_way AS u (space, subject, kind, at_us, id)
SELECT space, subject, kind, at_us, id FROM added WHERE subject IS NOT NULL
ON CONFLICT (space, subject) DO UPDATE SET kind = excluded.kind, at_us = excluded.at_us, id = excluded.id
WHERE u.at_us <= excluded.at_us`
}

// sqlEnd takes what has ended out of what is under way, unless that is of a
// later time. Often there is nothing, which spares a look for each.
const sqlEnd = `
DELETE FROM history_under_way AS u
WHERE u.space = (SELECT space FROM ` + sqlHead + `) AND u.subject = ANY ($4::bigint[])
    AND u.at_us <= ($5::bigint[])[array_position($4::bigint[], u.subject)]`
