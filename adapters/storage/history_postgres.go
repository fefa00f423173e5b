package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/taktwork/takt/core/domain"
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
	with := func(args ...any) []any { return append(slices.Clone(head), args...) }
	kinds := kindColumns(a.namespace, b.kinds)
	statements := []statement{
		{text: sqlNewHistory, args: []any{a.namespace}},
		{text: sqlBeginBatch, args: with(a.batch, len(b.places), len(b.records)-len(b.places))},
		{text: sqlNewKinds, args: with(kinds...), looksUp: true},
	}
	if len(b.places) > 0 {
		statements = append(statements, b.rowsStatement(with(kinds[0], b.kind, b.places)))
	}
	if len(b.blocks) > 0 {
		since, at := timesOf(b.blocks)
		statements = append(statements,
			statement{text: sqlBlocks, args: with(append([]any{kinds[0]}, blockArrays(b.blocks, b.records)...)...), looksUp: true},
			statement{text: sqlBatch, args: with(at, since, encodeFilters(b.blocks, b.records))})
	}
	if len(b.ended.subjects) > 0 {
		statements = append(statements, statement{text: sqlEnd, args: with(b.ended.subjects, b.ended.atUS), looksUp: true})
	}
	return statements
}

// rowsStatement writes the rows; args are what comes before their columns.
func (b *historyBatch) rowsStatement(args []any) statement {
	for _, i := range b.shape.columns() {
		if i < historyNumbers {
			args = append(args, b.numbers[i])
		} else {
			args = append(args, b.texts[i-historyNumbers])
		}
	}
	text := appendRecordsSQL(b.shape)
	if b.fielded || b.begun {
		text = appendIndexedSQL(b.shape)
	}
	return statement{text: text, args: args, looksUp: true}
}

// blockArrays returns the columns of blocks: kind, the first and last places, times,
// count and records.
func blockArrays(blocks []historyBlock, records []domain.Record) []any {
	var numbers [6][]int64
	texts := make([]string, len(blocks))
	for i := range blocks {
		b := &blocks[i]
		for c, n := range [...]int64{b.kind, int64(b.places[0]), int64(b.last()), b.atUS, b.sinceUS, int64(len(b.places))} {
			numbers[c] = append(numbers[c], n)
		}
		texts[i] = b.encode(records)
	}
	return []any{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], texts}
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
UPDATE histories SET records = records + $5::bigint, in_blocks = in_blocks + $6::bigint,
    first = ` + sqlNextNumber + `, latest = ` + sqlNextNumber + ` + $5::bigint + $6::bigint - 1
FROM begun WHERE namespace = $1::text`

// sqlNextNumber is the number of the next record of a namespace.
const sqlNextNumber = `greatest(latest, space::bigint << 44) + 1`

// sqlHead is the namespace and the batch's first number, if this try began the batch.
const sqlHead = `(SELECT h.space, h.first, h.latest FROM histories AS h, history_writers AS w
        WHERE h.namespace = $1::text AND w.writer = $2::bigint AND w.try = $3::bigint OFFSET 0) AS head`

const sqlNewKinds = `
INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded)
SELECT head.space, b.digest, b.job, b.origin, b.queue, b.job_name, b.event, b.replica, b.fielded
FROM ` + sqlHead + ` CROSS JOIN unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[])
    AS b (digest, job, origin, queue, job_name, event, replica, fielded)
WHERE NOT EXISTS (SELECT 1 FROM history_kinds AS k WHERE k.digest = b.digest)`

// sqlKnown are the namespace, the first number and the numbers of the kinds, in
// one row.
const sqlKnown = `(
    SELECT head.space, head.first, array_agg(k.kind ORDER BY b.n) AS kinds
    FROM ` + sqlHead + ` CROSS JOIN unnest($4::bytea[]) WITH ORDINALITY AS b (digest, n)
        JOIN history_kinds AS k ON k.digest = b.digest
    GROUP BY head.space, head.first
) AS known`

const sqlBlocks = `
INSERT INTO history_blocks (id, last_id, at_us, since_us, kind, space, count, records)
SELECT known.first + b.place, known.first + b.last, b.at_us, b.since_us, known.kinds[b.kind], known.space, b.count, b.records
FROM ` + sqlKnown + `
CROSS JOIN unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
    AS b (kind, place, last, at_us, since_us, count, records)`

const sqlBatch = `
INSERT INTO history_batches (id, last_id, at_us, since_us, space, job_ids)
SELECT head.first, head.latest, $4::bigint, $5::bigint, head.space, $6::bytea FROM ` + sqlHead

// appendRecordsSQL writes the columns of the shape.
func appendRecordsSQL(shape historyShape) string {
	columns, values, types := "kind, space, id", "known.kinds[r.kind], known.space, known.first + r.place", "$5::bigint[], $6::bigint[]"
	names, next := "kind, place", 7
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
FROM ` + sqlKnown + `
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
