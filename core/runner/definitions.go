package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

const (
	// definitionsAgain is how long a history may lack the definitions that
	// pruning removed, when too little is recorded for definitionsShare.
	definitionsAgain = 24 * time.Hour
	// definitionsShare bounds what they take of a history: one record of so many.
	definitionsShare = 20
	// definitionsTurn is how long a replica leaves it to the one before it to begin
	// to record the definitions that they share, definitionsStuck how long that one
	// may then record nothing until it counts as gone.
	definitionsTurn  = 2 * time.Second
	definitionsStuck = 15 * time.Second
	// signsSeen is how many signs of life are looked at for such replicas.
	signsSeen = 100
	// definitionsAtOnce bounds how many are recorded in one go, definitionsPause
	// is between two of them.
	definitionsAtOnce = journalLimit / 8
	definitionsPause  = 2 * journalPause
	// catalogPath is the field by which the history finds that the definitions
	// of a catalog are recorded.
	catalogPath = "catalog"
)

// catalogOf returns a short text that stands for the definitions of the jobs:
// replicas with the same have the same jobs, with the same schedules.
func catalogOf(names []string, jobs map[string]*jobState) string {
	if len(names) == 0 {
		return ""
	}
	sum := sha256.New()
	encoder := json.NewEncoder(sum)
	for _, name := range names {
		job := jobs[name]
		// A hash takes whatever is written.
		_ = encoder.Encode([]any{name, job.Fingerprint, schedule.Text(job.Schedule), job.Disabled})
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// definitionsKept is what a replica knows of the records of its definitions.
type definitionsKept struct {
	// at is when they were first looked for or last recorded by this replica,
	// number the ID that the newest record had then; zero if it recorded none.
	at     time.Time
	number int64
	// looked is when they were last looked for, and latest the ID of the newest
	// record then.
	looked time.Time
	latest int64
	// turn is when it may be this replica's turn to record them, waits how often it
	// has waited for that.
	turn  time.Time
	waits int
	// recording tells that this replica records them, recorded how many are.
	recording bool
	recorded  int
}

// looksAgain reports whether so much is recorded since the history was last
// looked through, or so much time has passed, that the definitions may be near
// their pruning. Looking costs more the longer the history is.
func (s *scheduler) looksAgain(kept *definitionsKept, latest int64) bool {
	records := int64(max(definitionsShare*len(s.names), s.cfg.HistoryCount/definitionsShare))
	pause := definitionsAgain
	if age := s.cfg.HistoryAge; age > 0 {
		pause = min(pause, age/definitionsShare)
	}
	return kept.looked.IsZero() || latest-kept.latest >= records || s.ports.Now().Sub(kept.looked) >= pause
}

// keepDefinitions records the definitions of all jobs unless the history knows
// them: once for all replicas that have the same, and again before they are
// pruned. It does not wait for its turn nor for room in the journal, but returns
// when it wants to go on; zero if it is done for now.
func (s *scheduler) keepDefinitions(ctx context.Context, kept *definitionsKept) time.Duration {
	if s.catalog == "" {
		return 0
	}
	if left := kept.turn.Sub(s.ports.Now()); left > 0 && !kept.recording {
		return left
	}
	if !kept.recording {
		known, newest, err := s.knowsDefinitions(ctx, kept)
		if err != nil {
			return journalRetry
		}
		if known {
			s.keptDefinitions(kept, newest)
			return 0
		}
		if err := s.awaitTurn(ctx, kept); err != nil || ctx.Err() != nil {
			return journalRetry
		}
		if left := kept.turn.Sub(s.ports.Now()); left > 0 {
			return left
		}
		kept.recording, kept.recorded, kept.number = true, 0, max(newest, 1)
	}
	if !s.recordDefinitions(kept) {
		return definitionsPause
	}
	kept.recording, kept.at = false, time.Time{}
	s.keptDefinitions(kept, kept.number)
	return 0
}

// keptDefinitions notes that the history knows the definitions.
func (s *scheduler) keptDefinitions(kept *definitionsKept, newest int64) {
	now := s.ports.Now()
	kept.turn, kept.waits = time.Time{}, 0
	if kept.at.IsZero() {
		kept.at = now
		s.recordSuperseded()
	}
	if s.looksAgain(kept, newest) {
		kept.looked, kept.latest = now, newest
	}
}

// awaitTurn decides when it is this replica's turn to record the definitions:
// others that have the same may record them before. Replicas that start at one
// time are to see one another, and then go by their rank.
func (s *scheduler) awaitTurn(ctx context.Context, kept *definitionsKept) error {
	rank, now := s.rank(), s.ports.Now()
	if rank == 0 || s.journal.store == nil {
		kept.turn = now
		return nil
	}
	kept.waits++
	if kept.waits == 1 {
		kept.turn = now.Add(definitionsPause)
		return nil
	}
	leaves, err := s.seesRecording(ctx)
	if err == nil && !leaves && kept.waits == 2 {
		leaves, err = s.seesOther(ctx)
	}
	if err != nil {
		kept.waits--
		return err
	}
	kept.turn = now
	if leaves {
		kept.turn = now.Add(time.Duration(rank) * definitionsTurn)
	}
	return nil
}

// seesOther reports whether another replica that has the same definitions lives.
func (s *scheduler) seesOther(ctx context.Context) (bool, error) {
	signs, err := s.journal.store.Query(ctx, domain.RunFilter{
		Events: []domain.Event{domain.EventWorkerStarted, domain.EventWorkerAlive, domain.EventWorkerStopped}, Limit: signsSeen,
	})
	if err != nil {
		return false, err
	}
	stopped := map[string]bool{}
	for i := range signs {
		sign := &signs[i]
		stopped[sign.Replica] = stopped[sign.Replica] || sign.Event == domain.EventWorkerStopped
		if sign.By == s.catalog && sign.Replica != s.cfg.Replica && !stopped[sign.Replica] {
			return true, nil
		}
	}
	return false, nil
}

// seesRecording reports whether another replica has begun to record the same
// definitions, and goes on with it.
func (s *scheduler) seesRecording(ctx context.Context) (bool, error) {
	latest, err := s.oneRecord(ctx, domain.RunFilter{Events: []domain.Event{domain.EventRegistered}})
	if err != nil {
		return false, err
	}
	return latest.By == s.catalog && latest.Replica != s.cfg.Replica && s.clock.Now().Sub(latest.At) < definitionsStuck, nil
}

// rank returns how many turns this replica waits: one that is alone none, and
// of several each another number, for they start at one time.
func (s *scheduler) rank() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) < 2 {
		return 0
	}
	rank, own := 1, domain.Hash(s.catalog, s.cfg.Replica)
	for _, replica := range s.replicas {
		if domain.Hash(s.catalog, replica) > own {
			rank++
		}
	}
	return rank
}

// knowsDefinitions reports whether the history has the definitions and is not
// about to prune them; and the ID of its newest record.
func (s *scheduler) knowsDefinitions(ctx context.Context, kept *definitionsKept) (known bool, newest int64, err error) {
	if s.journal.store == nil {
		return !kept.at.IsZero(), 0, nil
	}
	latest, err := s.oneRecord(ctx, domain.RunFilter{})
	if err != nil || !s.looksAgain(kept, latest.ID) {
		return err == nil, latest.ID, err
	}
	const fromTheFirst = -1
	oldest, err := s.oneRecord(ctx, domain.RunFilter{AfterID: fromTheFirst})
	if err != nil {
		return false, 0, err
	}
	recorded, err := s.oneRecord(ctx, domain.RunFilter{
		Events: []domain.Event{domain.EventRegistered}, Fields: []domain.Field{{Path: catalogPath, Value: s.catalog}},
	})
	if err != nil {
		return false, 0, err
	}
	isDue := latest.ID-max(recorded.ID, kept.number) >= int64(definitionsShare*len(s.names))
	switch {
	case recorded.ID > 0:
		return !isDue || !s.prunes(&latest, &oldest) || latest.ID-recorded.ID < recorded.ID-oldest.ID, latest.ID, nil
	case kept.number > 0:
		return !isDue && s.ports.Now().Sub(kept.at) < definitionsAgain, latest.ID, nil
	}
	return false, latest.ID, nil
}

// oneRecord returns the first record that the filter selects, the zero value if
// there is none.
func (s *scheduler) oneRecord(ctx context.Context, filter domain.RunFilter) (domain.Record, error) {
	filter.Limit = 1
	records, err := s.journal.store.Query(ctx, filter)
	if err != nil || len(records) == 0 {
		return domain.Record{}, err
	}
	return records[0], nil
}

// prunes reports whether the history, from its oldest record to the latest, is
// pruned or will soon be.
func (s *scheduler) prunes(latest, oldest *domain.Record) bool {
	full, age := int64(s.cfg.HistoryCount), s.cfg.HistoryAge
	return full > 0 && latest.ID-oldest.ID >= full/2 || age > 0 && latest.At.Sub(oldest.At) >= age/2
}

// recordDefinitions records the next of the definitions of all jobs and, after the
// last one, that all are; it reports whether that is done. So that they shed no
// decisions, nor are shed, they are recorded as the store takes them in.
func (s *scheduler) recordDefinitions(kept *definitionsKept) bool {
	next := s.names[kept.recorded:]
	next = next[:min(len(next), definitionsAtOnce)]
	records := make([]domain.Record, 0, len(next)+1)
	for _, name := range next {
		records = append(records, s.definitionOf(s.jobs[name]))
	}
	isLast := kept.recorded+len(next) == len(s.names)
	if isLast {
		records = append(records, domain.Record{
			Event: domain.EventRegistered, By: s.catalog, Count: len(s.names),
			Fields: []domain.Field{{Path: catalogPath, Value: s.catalog}},
		})
	}
	if !s.journal.Offer(records) {
		return false
	}
	kept.recorded += len(next)
	return isLast
}

func (s *scheduler) definitionOf(job *jobState) domain.Record {
	record := domain.Record{
		Event: domain.EventRegistered, Run: domain.RunKey{Job: job.Name}, Schedule: schedule.Text(job.Schedule), By: s.catalog,
	}
	if job.Disabled {
		record.Reason = domain.ReasonDisabled
	}
	return record
}
