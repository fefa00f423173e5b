package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
)

// postgresHistory writes each batch with one message, again if the reply was
// lost: the server knows the writer's latest batch by its number. A batch has the
// numbers of the kinds that are known, and begins only if these hold still.
type postgresHistory struct {
	runner    runner
	namespace string
	writer    int64
	batch     int64

	known *knownKinds
	// learned is the latest batch that told of a kind.
	learned int64
}

func newPostgresHistory(runner runner, namespace string) *postgresHistory {
	return &postgresHistory{runner: runner, namespace: namespace, writer: rand.Int64(), known: newKnownKinds(anyForgotten)}
}

var errStaleKinds = errors.New("the numbers of kinds hold no more")

func (a *postgresHistory) append(ctx context.Context, batch *historyBatch) error {
	a.batch++
	batch.divide()
	inDoubt := false
	for wait := repeatFirst; ; wait = min(2*wait, repeatMost) {
		err := a.write(ctx, batch)
		for isCollision(err) || errors.Is(err, errStaleKinds) {
			err = a.write(ctx, batch)
		}
		inDoubt = inDoubt || isDoubtful(err)
		if err == nil || ctx.Err() != nil || !inDoubt {
			return err
		}
		pause(ctx, wait)
	}
}

// write writes the batch, unless a try before did, and learns what kinds are new.
func (a *postgresHistory) write(ctx context.Context, b *historyBatch) error {
	try := &postgresTry{historyBatch: b, id: rand.Int64(), named: a.known.number(b.kinds, a.namespace)}
	if err := a.runner.write(ctx, a.statements(try)...); err != nil {
		return err
	}
	if try.latest < a.batch {
		a.known = newKnownKinds(anyForgotten)
		return errStaleKinds
	}
	if len(try.learned) > 0 {
		a.known.forgotten, a.learned = try.forgotten, a.batch
		try.named.teach(a.known, try.learned)
	}
	return nil
}

// postgresTry is one try to write a batch.
type postgresTry struct {
	*historyBatch

	id    int64
	named namedKinds

	// latest is the writer's latest batch after the try.
	latest int64
	// learned are the numbers of the new kinds, if the try wrote the batch; forgotten is
	// how often kinds had been removed.
	learned   []int64
	forgotten int64
}

func (a *postgresHistory) statements(b *postgresTry) []statement {
	head := []any{a.namespace, a.writer, b.id}
	with := func(args ...any) []any { return append(slices.Clone(head), args...) }
	statements := []statement{
		{text: sqlNewHistory, args: []any{a.namespace}},
		{text: sqlBeginBatch, args: with(a.batch, len(b.places), len(b.records)-len(b.places), a.known.forgotten, a.learned)},
	}
	if len(b.named.fresh) > 0 {
		statements = append(statements,
			statement{text: sqlNewKinds, args: with(b.named.columns()...), looksUp: true},
			statement{text: sqlLearn, args: with(b.named.digests), looksUp: true, row: func(scan scanner) error { return scan(&b.forgotten, &b.learned) }})
	}
	if len(b.places) > 0 {
		statements = append(statements, b.rowsStatement(with(b.named.digests, b.named.of(b.kind), b.places)))
	}
	if len(b.blocks) > 0 {
		statements = append(statements, statement{text: sqlBlocks, args: with(append([]any{b.named.digests}, b.blockArrays()...)...), looksUp: true})
	}
	if len(b.alike) > 0 {
		since, at := timesOf(b.alike)
		statements = append(statements, statement{text: sqlBatch, args: with(at, since, encodeFilters(b.alike, b.records))})
	}
	if len(b.ended.subjects) > 0 {
		statements = append(statements, statement{text: sqlEnd, args: with(b.ended.subjects, b.ended.atUS), looksUp: true})
	}
	return append(statements, statement{text: sqlLatestBatch, args: []any{a.writer}, row: func(scan scanner) error { return scan(&b.latest) }})
}

// rowsStatement writes the rows; args are what comes before their columns.
func (b *postgresTry) rowsStatement(args []any) statement {
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
// count, planned instant and records.
func (b *postgresTry) blockArrays() []any {
	var numbers [7][]int64
	texts := make([]string, len(b.blocks))
	for i := range b.blocks {
		block := &b.blocks[i]
		kind, first, last := b.named.numbers[block.kind-1], int64(block.places[0]), int64(block.last())
		for c, n := range [...]int64{kind, first, last, block.atUS, block.sinceUS, int64(len(block.places)), block.plannedMS} {
			numbers[c] = append(numbers[c], n)
		}
		texts[i] = block.encode(b.records)
	}
	return []any{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], texts}
}

const sqlNewHistory = `
INSERT INTO histories (namespace, records)
SELECT $1::text, 0 WHERE NOT EXISTS (SELECT 1 FROM histories WHERE namespace = $1)
ON CONFLICT DO NOTHING`

// A batch that was written before begins no more, nor one whose numbers of kinds may hold
// no more: kinds were removed, or the server lacks the batch that told of them, as one does
// that took the place of another before it had all of it. The row of the namespace is held
// from here on, so no kind goes until the batch is written.
const sqlBeginBatch = `
WITH begun AS (
    INSERT INTO history_writers AS w (writer, batch, try, at_us)
    SELECT $2::bigint, $4::bigint, $3::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    FROM histories WHERE namespace = $1::text AND ($7::bigint < 0 OR forgotten = $7::bigint
        AND EXISTS (SELECT 1 FROM history_writers WHERE writer = $2::bigint AND batch >= $8::bigint))
    FOR NO KEY UPDATE
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
const sqlHead = `(SELECT h.space, h.first, h.latest, h.forgotten FROM histories AS h, history_writers AS w
        WHERE h.namespace = $1::text AND w.writer = $2::bigint AND w.try = $3::bigint OFFSET 0) AS head`

const sqlNewKinds = `
INSERT INTO history_kinds (space, digest, job, origin, queue, job_name, event, replica, fielded)
SELECT head.space, b.digest, b.job, b.origin, b.queue, b.job_name, b.event, b.replica, b.fielded
FROM ` + sqlHead + ` CROSS JOIN unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[])
    AS b (digest, job, origin, queue, job_name, event, replica, fielded)
WHERE NOT EXISTS (SELECT 1 FROM history_kinds AS k WHERE k.digest = b.digest)`

// sqlFresh are the numbers of the batch's new kinds.
const sqlFresh = `ARRAY(SELECT (SELECT k.kind FROM history_kinds AS k WHERE k.digest = b.digest)
        FROM unnest($4::bytea[]) WITH ORDINALITY AS b (digest, n) ORDER BY b.n)`

const sqlLearn = `SELECT head.forgotten, ` + sqlFresh + ` FROM ` + sqlHead

const sqlLatestBatch = `SELECT batch FROM history_writers WHERE writer = $1::bigint`

// sqlHeadAndFresh have one row.
const sqlHeadAndFresh = `(SELECT head.space, head.first, ` + sqlFresh + ` AS fresh FROM ` + sqlHead + ` OFFSET 0) AS head`

// sqlKindOf is the number of a kind of what is written.
const sqlKindOf = `CASE WHEN b.kind > 0 THEN b.kind ELSE head.fresh[-b.kind] END`

const sqlBlocks = `
INSERT INTO history_blocks (id, last_id, at_us, since_us, kind, space, count, planned_ms, records)
SELECT head.first + b.place, head.first + b.last, b.at_us, b.since_us, ` + sqlKindOf + `, head.space, b.count, nullif(b.planned, -9223372036854775808), b.records
FROM ` + sqlHeadAndFresh + `
CROSS JOIN unnest($5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[])
    AS b (kind, place, last, at_us, since_us, count, planned, records)`

const sqlBatch = `
INSERT INTO history_batches (id, last_id, at_us, since_us, space, job_ids)
SELECT head.first, head.latest, $4::bigint, $5::bigint, head.space, $6::bytea FROM ` + sqlHead

// appendRecordsSQL writes the columns of the shape.
func appendRecordsSQL(shape historyShape) string {
	columns, values, types := "kind, space, id", sqlKindOf+", head.space, head.first + b.place", "$5::integer[], $6::bigint[]"
	names, next := "kind, place", 7
	for _, i := range shape.columns() {
		name, kind, none := historyColumnList()[i], "bigint", "0"
		switch {
		case i >= historyNumbers:
			kind, none = "text", "''"
		case i == plannedColumn, i == untilColumn:
			none = strconv.Itoa(absent)
		}
		value := "b." + name
		if i != atColumn {
			value = "nullif(b." + name + ", " + none + ")"
		}
		columns, values, names = columns+", "+name, values+", "+value, names+", "+name
		types += fmt.Sprintf(", $%d::%s[]", next, kind)
		next++
	}
	return `
INSERT INTO history (` + columns + `)
SELECT ` + values + `
FROM ` + sqlHeadAndFresh + `
CROSS JOIN unnest(` + types + `) AS b (` + names + `)`
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
