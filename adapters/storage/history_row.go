package storage

import (
	"encoding/json"
	"math"
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

// historyAttempt returns the attempt as it is kept: it may come from the record
// of a foreign job.
func historyAttempt(attempt int) int64 { return int64(min(max(attempt, 0), math.MaxInt32)) }

func historyJobID(id domain.JobID) domain.JobID {
	return domain.JobID(domain.CleanText(string(id), maxHistoryJobID))
}

// historyJobIDs returns the ids as they are kept, without those that are empty.
func historyJobIDs(ids []domain.JobID) []domain.JobID {
	kept := make([]domain.JobID, 0, len(ids))
	for _, id := range ids {
		if id = historyJobID(id); id != "" {
			kept = append(kept, id)
		}
	}
	return kept
}

func plainTexts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
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
