package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// fewOrders is how many orders are kept or withdrawn under faults at least.
const fewOrders = 10

// fault befalls a fleet again and again while it works, with a pause between two.
type fault struct {
	pause time.Duration
	times int
	// strike is called by one at a time; n counts from zero.
	strike func(t *testing.T, f *fleet, n int)
	// kills says that workers are killed: what they had begun is done again, and
	// what was in their memory alone is lost.
	kills bool
}

// befall lets the fault befall the fleet while orders come, waits until all that was
// ordered or ticked in that time is done, stops the fleet, and checks what it did.
func (f *fleet) befall(t *testing.T, s *shop, fault fault, inMemory bool) {
	t.Helper()
	from := time.Now()
	stop := make(chan struct{})
	var ordering sync.WaitGroup
	ordering.Go(func() { s.keepOrdering(t.Context(), stop) })
	times := fault.times
	if everything() {
		times *= 5
	}
	for n := 0; n < times || s.kept.Load() < fewOrders; n++ {
		<-time.After(fault.pause)
		fault.strike(t, f, n)
	}
	close(stop)
	ordering.Wait()
	want := wanted{from: from, to: time.Now(), orders: s.orders(t), kills: fault.kills, inMemory: inMemory}
	f.await(t, s, &want)
	f.stop(t)
	f.wantDone(t, &want)
	f.wantRecorded(t, s.records(t))
	t.Logf("%d orders are done, %d failed", len(want.orders), s.failed.Load())
}

// wanted is what a fleet must have done.
type wanted struct {
	// The ticks are those between the two.
	from, to        time.Time
	orders          []string
	kills, inMemory bool
}

// of returns the subjects that must be among those of the job.
func (w *wanted) of(job string) []string {
	var all []string
	prefix := ""
	if job == queueJob {
		all = append(all, w.orders...)
		if w.kills && w.inMemory {
			return all
		}
		prefix = "tick-"
	}
	for second := w.from.Truncate(time.Second).Add(time.Second); !second.After(w.to); second = second.Add(time.Second) {
		all = append(all, prefix+second.UTC().Format(time.RFC3339))
	}
	return all
}

const queueJob = "faults.job"

// noted are the jobs of the feature that leave lines.
func noted() []string {
	jobs := []string{queueJob}
	for n := range 5 {
		jobs = append(jobs, fmt.Sprint("faults.tick-", n))
	}
	return jobs
}

// bySubject returns the lines of the file by their jobs and subjects.
func (f *fleet) bySubject(t *testing.T) map[string]map[string][]ticked {
	t.Helper()
	by := map[string]map[string][]ticked{}
	for _, line := range f.file.all(t) {
		if by[line.job] == nil {
			by[line.job] = map[string][]ticked{}
		}
		by[line.job][line.subject] = append(by[line.job][line.subject], line)
	}
	return by
}

// await waits until all is done and the outbox is empty.
func (f *fleet) await(t *testing.T, s *shop, want *wanted) {
	t.Helper()
	// What a killed worker had begun waits for the end of its lease.
	deadline := time.Now().Add(2 * patience)
	for {
		missing := f.missing(t, want)
		rows, err := s.rows(t.Context())
		if len(missing) == 0 && rows == 0 && err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not done are %v, and the outbox has %d rows, %v", missing, rows, err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// missing are the subjects that are not done and must be: a tick that could run
// only when it was too late may be left to a later one.
func (f *fleet) missing(t *testing.T, want *wanted) (missing []string) {
	t.Helper()
	lines := f.bySubject(t)
	for _, job := range noted() {
		done := lines[job]
		// Of a later tick it is known when it was done.
		later := time.Time{}
		subjects := want.of(job)
		for _, subject := range slices.Backward(subjects) {
			planned, err := time.Parse(time.RFC3339, strings.TrimPrefix(subject, "tick-"))
			if first := done[subject]; len(first) > 0 {
				later = first[0].done
			} else if err != nil || later.Sub(planned) <= misfireAfter {
				missing = append(missing, job+" of "+subject)
			}
		}
	}
	return missing
}

// wantDone wants nothing twice, unless a worker was killed over it, and no order that
// was not committed.
func (f *fleet) wantDone(t *testing.T, want *wanted) {
	t.Helper()
	ordered := map[string]bool{}
	for _, order := range want.orders {
		ordered[order] = true
	}
	for job, bySubject := range f.bySubject(t) {
		for subject, lines := range bySubject {
			if alive := f.byLiving(lines); len(alive) > 1 || (!want.kills && len(lines) > 1) {
				t.Errorf("%s of %s was done %d times: %v", job, subject, len(lines), lines)
			}
			if strings.HasPrefix(subject, "order-") && !ordered[subject] {
				t.Errorf("%s was done, and never ordered", subject)
			}
		}
	}
}

// byLiving returns the lines of workers that were not killed.
func (f *fleet) byLiving(lines []ticked) (living []ticked) {
	for _, line := range lines {
		if !f.killed[line.worker] {
			living = append(living, line)
		}
	}
	return living
}

// wantRecorded wants one record of the end of each run and each job, but for those
// whose worker was killed.
func (f *fleet) wantRecorded(t *testing.T, records []domain.Record) {
	t.Helper()
	runs, jobs := map[string]int{}, 0
	for i := range records {
		switch r := &records[i]; {
		case r.Event != domain.EventCompleted:
		case r.Queue == "faults" && r.Run.Origin == "":
			jobs++
		case r.Run.Origin == domain.OriginSchedule:
			runs[r.Run.Job+" of "+r.Run.Planned().Format(time.RFC3339)]++
		}
	}
	lines := f.file.of(t, queueJob)
	if least := len(f.byLiving(lines)); jobs < least || jobs > len(lines) {
		t.Errorf("history has the ends of %d jobs, want %d, or %d at most", jobs, least, len(lines))
	}
	bySubject := f.bySubject(t)
	for _, job := range noted()[1:] {
		for subject, lines := range bySubject[job] {
			run := job + " of " + subject
			if count := runs[run]; count > 1 || (count == 0 && len(f.byLiving(lines)) > 0) {
				t.Errorf("history has %d ends of %s, want one", count, run)
			}
		}
	}
}
