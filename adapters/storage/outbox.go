package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/core/domain"
)

// outboxChannel is where Postgres tells relays of new rows.
const outboxChannel = "takt_outbox"

// OutboxConfig describes an outbox. Zero fields take their default.
type OutboxConfig struct {
	// Namespace is that of the workers whose queues the jobs go to; default
	// [domain.DefaultNamespace].
	Namespace string
	// MaxPayload bounds the payload of one job in bytes; default 256 KiB.
	MaxPayload int
}

const defaultMaxPayload = 256 << 10

// Outbox takes jobs within transactions of the application's: the jobs are
// there if and only if the transaction is committed. A [Relay] then puts each of
// them on its queue, once, and the jobs of a queue in the order of their rows. It
// is safe for concurrent use; a transaction seldom is.
type Outbox struct {
	config  OutboxConfig
	dialect Dialect
	table   string
	runner  runner
	// queues is the statement of waits.
	queues string
	// hints wakes a relay of this process that listens to no server.
	hints chan struct{}

	mu    sync.Mutex
	texts map[int]string
}

// Outbox returns the outbox of a namespace in the database.
func (db *DB) Outbox(config OutboxConfig) *Outbox {
	if config.Namespace == "" {
		config.Namespace = domain.DefaultNamespace
	}
	if config.MaxPayload == 0 {
		config.MaxPayload = defaultMaxPayload
	}
	table := "outbox"
	if db.dialect == Postgres {
		table = pgx.Identifier{db.schema, table}.Sanitize()
	}
	return &Outbox{
		config: config, dialect: db.dialect, table: table, runner: db.runner,
		queues: compile(db.dialect, sqlOutboxQueues),
		hints:  make(chan struct{}, 1), texts: make(map[int]string),
	}
}

// Enqueue adds the jobs to the transaction. It neither commits nor rolls back,
// and reaches no queue. A job's delay counts from here on. A job that makes no
// sense is [domain.ErrInvalid], a payload over the limit [domain.ErrTooLarge];
// then nothing was sent, and the transaction is as good as before. After any
// other error it is to be rolled back.
//
// The transaction must be one of the database of the outbox, on Postgres by a
// role that may insert into it; what else a role needs is in the guide. What the
// queue itself may refuse, such as an id that is there already, shows only when
// the job gets there: the relay logs it.
func (o *Outbox) Enqueue(ctx context.Context, tx Tx, jobs ...domain.NewJob) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	values := make([]any, 0, 1+rowValues*len(jobs))
	values = append(values, o.config.Namespace)
	for i := range jobs {
		options, err := o.check(&jobs[i])
		if err != nil {
			return fmt.Errorf("enqueue in outbox: %w", err)
		}
		values = append(values, string(jobs[i].Queue), jobs[i].Name, notNull(jobs[i].Data), options)
	}
	for left := len(jobs); left > 0; {
		rows := rowsAtOnce(left)
		if err := tx(ctx, o.insertion(rows), values[:1+rowValues*rows]...); err != nil {
			return fmt.Errorf("enqueue in outbox: %w", translate(ctx, err))
		}
		left -= rows
		values = values[rowValues*rows:]
		values[0] = o.config.Namespace
	}
	o.hint()
	return nil
}

// Waiting returns the queues that have rows to hand over.
func (o *Outbox) Waiting(ctx context.Context) ([]domain.QueueName, error) {
	waits, err := o.waits(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("look into outbox: %w", err)
	}
	return slices.Sorted(maps.Keys(waits)), nil
}

// waits returns for each queue with rows that the relay with the token may hand
// over how long it must wait until the lease of another one ends.
func (o *Outbox) waits(ctx context.Context, token int64) (map[domain.QueueName]time.Duration, error) {
	waits := make(map[domain.QueueName]time.Duration)
	err := o.runner.read(ctx, statement{
		text: o.queues, args: []any{o.config.Namespace, token}, looksUp: true,
		row: func(scan scanner) error {
			var name domain.QueueName
			var waitUS int64
			err := scan(&name, &waitUS)
			waits[name] = time.Duration(waitUS) * time.Microsecond
			return err
		},
	})
	return waits, err
}

func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// hint tells the relay of this process that a commit may follow.
func (o *Outbox) hint() {
	select {
	case o.hints <- struct{}{}:
	default:
	}
}

// check returns the options as text, or what is wrong with the job.
func (o *Outbox) check(job *domain.NewJob) (string, error) {
	if err := job.Validate(o.config.MaxPayload); err != nil {
		return "", err
	}
	switch key := job.Options.Deduplication.Key; {
	case job.Receipt != "":
		return "", domain.Invalidf("job %s: has a receipt, but those of an outbox are its own", domain.Quote(job.Name))
	case len(job.Data) > 0 && !json.Valid(job.Data):
		return "", domain.Invalidf("job %s: its data is not JSON", domain.Quote(job.Name))
	case !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return "", domain.Invalidf("job %s: deduplication key has characters that do not print", domain.Quote(job.Name))
	}
	return encodeOptions(&job.Options)
}

// rowValues is how many values a row takes beside the namespace.
const rowValues = 4

// rowsAtOnce returns how many of the rows go into one statement. There are few
// answers, for each is a text that connections prepare.
func rowsAtOnce(rows int) int {
	for _, size := range []int{250, 50, 10} {
		if rows >= size {
			return size
		}
	}
	return 1
}

// insertion returns the statement that adds so many rows. The rows of a queue get
// their ids in order.
func (o *Outbox) insertion(rows int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.texts[rows]
	if text == "" {
		if o.dialect == Postgres {
			text = o.insertPostgres(rows)
		} else {
			text = "INSERT INTO " + o.table + " (namespace, queue, name, data, options) VALUES " +
				placeholders(rows, "(?1, ?%d, ?%d, ?%d, ?%d)", "(?1, ?%d, ?%d, ?%d, ?%d)")
		}
		o.texts[rows] = text
	}
	return text
}

// insertPostgres also tells relays, at the commit.
func (o *Outbox) insertPostgres(rows int) string {
	return "WITH job (queue, name, data, options) AS (VALUES " +
		placeholders(rows, "($%d::text, $%d::text, $%d::bytea, $%d::text)", "($%d, $%d, $%d, $%d)") +
		"), added AS (INSERT INTO " + o.table + " (namespace, queue, name, data, options)" +
		" SELECT $1::text, queue, name, data, options FROM job)" +
		" SELECT pg_notify('" + outboxChannel + "', $1::text || '/' || queue) FROM job GROUP BY queue"
}

// placeholders returns those of the rows, the first of which has a form of its
// own.
func placeholders(rows int, first, other string) string {
	var text strings.Builder
	for row := range rows {
		form := other
		if row == 0 {
			form = first
		} else {
			text.WriteString(", ")
		}
		n := 2 + rowValues*row
		fmt.Fprintf(&text, form, n, n+1, n+2, n+3)
	}
	return text.String()
}
