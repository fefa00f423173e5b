package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of what the history keeps, in bytes.
const (
	maxHistoryName   = 256
	maxHistoryJobID  = 512
	maxHistoryReason = 4 << 10
	maxHistoryStack  = 16 << 10
	maxHistoryFields = 16
)

// absent stands for a time that a record lacks.
const absent = math.MinInt64

// historyKind is what many records have in common.
type historyKind struct {
	job, origin, queue, jobName, event, replica string
	fielded                                     bool
}

// digest returns bytes that no other kind of any namespace has.
func (k *historyKind) digest(namespace string) []byte {
	sum := sha256.New()
	for _, text := range []string{namespace, k.job, k.origin, k.queue, k.jobName, k.event, k.replica, strconv.FormatBool(k.fielded)} {
		sum.Write(binary.AppendUvarint(nil, uint64(len(text))))
		sum.Write([]byte(text))
	}
	return sum.Sum(nil)[:16]
}

func kindOf(r *domain.Record) historyKind {
	return historyKind{
		job: domain.CleanText(r.Run.Job, maxHistoryName), origin: domain.CleanText(string(r.Run.Origin), maxHistoryName),
		queue: domain.CleanText(string(r.Queue), maxHistoryName), jobName: domain.CleanText(r.JobName, maxHistoryName),
		event: domain.CleanText(string(r.Event), maxHistoryName), replica: domain.CleanText(r.Replica, maxHistoryName),
		fielded: len(r.Fields) > 0,
	}
}

// historyBatch holds records by column, as the tables have them.
type historyBatch struct {
	// kinds are the different ones; kind tells that of each record, counted
	// from one.
	kinds []historyKind
	kind  []int64

	at, attempt, planned, until, took, late, wait, count []int64
	// subject is set for the records after which what they are about is under way.
	subject                                              []int64
	originID, jobID, reason, by, stack, schedule, fields []string
	fielded                                              bool

	// begun tells that something is under way after the batch; ended holds what
	// is no more.
	begun bool
	ended endings
}

// Columns of the batch, in the order of the tables.
func (b *historyBatch) numbers() []*[]int64 {
	return []*[]int64{&b.at, &b.attempt, &b.planned, &b.until, &b.took, &b.late, &b.wait, &b.count, &b.subject}
}

func (b *historyBatch) texts() []*[]string {
	return []*[]string{&b.originID, &b.jobID, &b.reason, &b.by, &b.stack, &b.schedule, &b.fields}
}

func newHistoryBatch(records []domain.Record) *historyBatch {
	b := &historyBatch{kind: make([]int64, len(records))}
	for _, column := range b.numbers() {
		*column = make([]int64, len(records))
	}
	for _, column := range b.texts() {
		*column = make([]string, len(records))
	}
	known := make(map[historyKind]int64)
	for i := range records {
		kind := kindOf(&records[i])
		number := known[kind]
		if number == 0 {
			b.kinds = append(b.kinds, kind)
			number = int64(len(b.kinds))
			known[kind] = number
		}
		b.kind[i] = number
		b.put(i, &records[i])
	}
	b.divide(records)
	return b
}

func (b *historyBatch) put(i int, r *domain.Record) {
	b.at[i] = r.At.UnixMicro()
	// It may come from the record of a foreign job.
	b.attempt[i] = int64(min(max(r.Attempt, 0), math.MaxInt32))
	b.planned[i], b.until[i] = absent, absent
	if r.Run.Origin != "" || r.Run.PlannedMS != 0 {
		b.planned[i] = r.Run.PlannedMS
	}
	if !r.Until.IsZero() {
		b.until[i] = r.Until.UnixMilli()
	}
	b.took[i], b.late[i], b.wait[i] = r.Took.Microseconds(), r.Late.Microseconds(), r.Wait.Microseconds()
	b.count[i] = int64(r.Count)
	b.originID[i] = domain.CleanText(r.Run.OriginID, maxHistoryJobID)
	b.jobID[i] = domain.CleanText(string(r.JobID), maxHistoryJobID)
	b.reason[i] = domain.CleanText(r.Reason, maxHistoryReason)
	b.by[i] = domain.CleanText(r.By, maxHistoryReason)
	b.stack[i] = domain.CleanText(r.Stack, maxHistoryStack)
	b.schedule[i] = domain.CleanText(r.Schedule, maxHistoryReason)
	if len(r.Fields) > 0 {
		b.fields[i] = encodeFields(r.Fields)
		b.fielded = true
	}
}

func historyField(f domain.Field) [2]string {
	return [2]string{domain.CleanText(f.Path, maxHistoryName), domain.CleanText(f.Value, maxHistoryName)}
}

func encodeFields(fields []domain.Field) string {
	pairs := make([][2]string, 0, len(fields))
	for _, f := range fields[:min(len(fields), maxHistoryFields)] {
		pairs = append(pairs, historyField(f))
	}
	text, err := json.Marshal(pairs)
	if err != nil {
		return ""
	}
	return string(text)
}

func decodeFields(text string) ([]domain.Field, error) {
	if text == "" {
		return nil, nil
	}
	var pairs [][2]string
	if err := json.Unmarshal([]byte(text), &pairs); err != nil {
		return nil, err
	}
	fields := make([]domain.Field, len(pairs))
	for i, pair := range pairs {
		fields[i] = domain.Field{Path: pair[0], Value: pair[1]}
	}
	return fields, nil
}

// historyColumns are those that scanRecord reads, of the tables h and k.
const historyColumns = `h.id, h.at_us, k.replica, k.event, k.job, k.origin, coalesce(h.origin_id, ''), coalesce(h.planned_ms, 0),
    k.queue, coalesce(h.job_id, ''), k.job_name, coalesce(h.attempt, 0), coalesce(h.took_us, 0), coalesce(h.late_us, 0),
    coalesce(h.wait_us, 0), coalesce(h.reason, ''), coalesce(h.by, ''), coalesce(h.stack, ''), coalesce(h.schedule, ''),
    h.until_ms, coalesce(h.count, 0), coalesce(h.fields, '')`

func scanRecord(scan scanner) (domain.Record, error) {
	var r domain.Record
	var atUS, tookUS, lateUS, waitUS int64
	var untilMS *int64
	var fields string
	err := scan(&r.ID, &atUS, &r.Replica, &r.Event, &r.Run.Job, &r.Run.Origin, &r.Run.OriginID, &r.Run.PlannedMS,
		&r.Queue, &r.JobID, &r.JobName, &r.Attempt, &tookUS, &lateUS,
		&waitUS, &r.Reason, &r.By, &r.Stack, &r.Schedule,
		&untilMS, &r.Count, &fields)
	if err != nil {
		return r, err
	}
	r.At = time.UnixMicro(atUS).UTC()
	r.Took, r.Late, r.Wait = microsOf(tookUS), microsOf(lateUS), microsOf(waitUS)
	if untilMS != nil {
		r.Until = time.UnixMilli(*untilMS).UTC()
	}
	r.Fields, err = decodeFields(fields)
	return r, err
}

func microsOf(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
