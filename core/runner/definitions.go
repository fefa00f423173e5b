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
	// definitionsTurn is how long a replica leaves it to the one before it to record
	// the definitions that they share.
	definitionsTurn = 2 * time.Second
	// definitionsTurns bounds for how many it does.
	definitionsTurns = 3
	// signsSeen is how many signs of life are looked at for such replicas.
	signsSeen = 100
	// registeredAtOnce bounds how many definitions are recorded in one go: a
	// journal that takes in many more than its store does would shed.
	registeredAtOnce = journalLimit / 8
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
// pruned. It reports whether the history could tell.
func (s *scheduler) keepDefinitions(ctx context.Context, kept *definitionsKept) bool {
	if s.catalog == "" {
		return true
	}
	first := kept.at.IsZero()
	known, newest, err := s.knowsDefinitions(ctx, kept)
	if err == nil && !known {
		if err = s.awaitTurn(ctx); err == nil {
			known, newest, err = s.knowsDefinitions(ctx, kept)
		}
	}
	switch {
	case err != nil:
		return false
	case ctx.Err() != nil:
	case !known:
		s.recordDefinitions(ctx)
		kept.number = max(newest, 1)
		fallthrough
	case first:
		kept.at = s.ports.Now()
		s.recordSuperseded()
	}
	if s.looksAgain(kept, newest) {
		kept.looked, kept.latest = s.ports.Now(), newest
	}
	return true
}

// awaitTurn waits while other replicas that have the same definitions may
// record them.
func (s *scheduler) awaitTurn(ctx context.Context) error {
	turn := s.turn()
	if turn == 0 || s.journal.store == nil {
		return nil
	}
	// Replicas that start at one time are to see one another.
	wait(ctx, 2*journalPause)
	signs, err := s.journal.store.Query(ctx, domain.RunFilter{
		Events: []domain.Event{domain.EventWorkerStarted, domain.EventWorkerAlive, domain.EventWorkerStopped}, Limit: signsSeen,
	})
	if err != nil {
		return err
	}
	stopped := map[string]bool{}
	for i := range signs {
		sign := &signs[i]
		stopped[sign.Replica] = stopped[sign.Replica] || sign.Event == domain.EventWorkerStopped
		if sign.By == s.catalog && sign.Replica != s.cfg.Replica && !stopped[sign.Replica] {
			wait(ctx, time.Duration(turn)*definitionsTurn)
			break
		}
	}
	return nil
}

// turn returns how many turns this replica waits: one that is alone none, and
// of several each another number, for they start at one time.
func (s *scheduler) turn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replicas) < 2 {
		return 0
	}
	before, own := 1, domain.Hash(s.catalog, s.cfg.Replica)
	for _, replica := range s.replicas {
		if domain.Hash(s.catalog, replica) > own {
			before++
		}
	}
	return min(before, definitionsTurns)
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

// recordDefinitions records the definitions of all jobs.
func (s *scheduler) recordDefinitions(ctx context.Context) {
	for names := s.names; len(names) > 0; {
		some := names[:min(len(names), registeredAtOnce)]
		for _, name := range some {
			s.journal.Record(s.definitionOf(s.jobs[name]))
		}
		if names = names[len(some):]; len(names) > 0 && !wait(ctx, 2*journalPause) {
			return
		}
	}
	s.journal.Record(domain.Record{
		Event: domain.EventRegistered, By: s.catalog, Count: len(s.names),
		Fields: []domain.Field{{Path: catalogPath, Value: s.catalog}},
	})
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

// recordSuperseded records which jobs this replica does not plan.
func (s *scheduler) recordSuperseded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		if job := s.jobs[name]; job.state.Superseded {
			s.recordRevision(job)
		}
	}
}

// recordRevision records whether this replica's definition of the job is the one
// that is planned; it is called with mu held.
func (s *scheduler) recordRevision(job *jobState) {
	record := s.definitionOf(job)
	if job.state.Superseded && !job.Disabled {
		record.Reason = domain.ReasonSuperseded
	}
	s.journal.Record(record)
}
