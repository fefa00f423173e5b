package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// historyKind is what many records have in common.
type historyKind struct {
	job, origin, queue, jobName, event, replica string
	fielded                                     bool
}

// kindDigest is what no other kind of any namespace has.
type kindDigest [16]byte

func (k *historyKind) digest(namespace string) kindDigest {
	const usual = 256
	text := make([]byte, 0, usual)
	for _, part := range [...]string{namespace, k.job, k.origin, k.queue, k.jobName, k.event, k.replica, strconv.FormatBool(k.fielded)} {
		text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(text)
	return kindDigest(sum[:])
}

// rawKindOf returns the kind with texts as they are in the record.
func rawKindOf(r *domain.Record) historyKind {
	return historyKind{
		job: r.Run.Job, origin: string(r.Run.Origin), queue: string(r.Queue), jobName: r.JobName,
		event: string(r.Event), replica: r.Replica, fielded: len(r.Fields) > 0,
	}
}

// clean returns the kind with texts that a database can hold.
func (k *historyKind) clean() historyKind {
	return historyKind{
		job: domain.CleanText(k.job, maxHistoryName), origin: domain.CleanText(k.origin, maxHistoryName),
		queue: domain.CleanText(k.queue, maxHistoryName), jobName: domain.CleanText(k.jobName, maxHistoryName),
		event: domain.CleanText(k.event, maxHistoryName), replica: domain.CleanText(k.replica, maxHistoryName),
		fielded: k.fielded,
	}
}

// kindCounter numbers kinds as they come. Most records have the kind of the
// one before.
type kindCounter struct {
	kinds   []historyKind
	numbers map[historyKind]int64
	latest  historyKind
	number  int64
}

// of returns the number of the record's kind, counted from one.
func (c *kindCounter) of(r *domain.Record) int64 { return c.numberOf(rawKindOf(r)) }

// ofRun returns the number of the kind of a block of a run, of which that is the first
// record.
func (c *kindCounter) ofRun(r *domain.Record) int64 {
	raw := rawKindOf(r)
	if raw.event = endOfRun; r.Event == domain.EventClaimed {
		raw.event = wholeRun
	}
	return c.numberOf(raw)
}

func (c *kindCounter) numberOf(raw historyKind) int64 {
	if raw == c.latest && c.number > 0 {
		return c.number
	}
	number := c.numbers[raw]
	if number == 0 {
		number = c.add(raw.clean())
		c.numbers[raw] = number
	}
	c.latest, c.number = raw, number
	return number
}

func (c *kindCounter) add(kind historyKind) int64 {
	number := c.numbers[kind]
	if number == 0 {
		c.kinds = append(c.kinds, kind)
		number = int64(len(c.kinds))
		c.numbers[kind] = number
	}
	return number
}
