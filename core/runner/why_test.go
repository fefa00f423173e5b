package runner_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

// tale is what a scenario left: its records and what is asked about them.
type tale struct {
	records []domain.Record
	asked   []history.Question
}

// ask asks about the tick of the job "report" at the time of the test.
func (f *fleet) ask(at time.Duration) history.Question {
	return history.Question{Job: "report", At: f.origin.Add(at)}
}

// play plays a scenario in virtual time and returns what it left.
func play(t *testing.T, scenario func(*testing.T, *fleet) []history.Question) tale {
	t.Helper()
	var told tale
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		asked := scenario(t, f)
		settle()
		for i := range asked {
			if asked[i].Now.IsZero() {
				asked[i].Now = time.Now()
			}
		}
		told = tale{records: f.chronicle(), asked: asked}
	})
	return told
}

// chronicle returns all records of all replicas, in the order of their time.
func (f *fleet) chronicle() []domain.Record {
	var all []domain.Record
	for _, book := range f.books {
		all = append(all, book.everything()...)
	}
	all = slices.DeleteFunc(all, func(r domain.Record) bool {
		died, dead := f.vanished[r.Replica]
		return dead && r.At.After(died)
	})
	slices.SortStableFunc(all, func(a, b domain.Record) int { return a.At.Compare(b.At) })
	return all
}

// answer answers the questions by the records that are kept, and tells by which
// codes.
func (s *tale) answer(t *testing.T, keep func(*domain.Record) bool) (text string, codes []history.Code) {
	t.Helper()
	store := inmemqueue.NewRunStore(len(s.records) + 1)
	for i := range s.records {
		if !keep(&s.records[i]) {
			continue
		}
		if err := store.Append(context.Background(), s.records[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	for _, question := range s.asked {
		evidence, err := history.Gather(context.Background(), store, &question)
		if err != nil {
			t.Fatalf("Gather = %v, want no error", err)
		}
		answer := history.Explain(question, evidence)
		codes = append(codes, answer.Code)
		links := []string{}
		for _, cause := range answer.Causes {
			codes = append(codes, cause.Code)
			links = append(links, string(cause.Code))
		}
		fmt.Fprintf(&all, "%s%s: %s\n\n", answer.Text(), answer.Code, strings.Join(links, ", "))
	}
	return all.String(), codes
}

func everyRecord(*domain.Record) bool { return true }

func TestWhy_hasAnAnswerForEachCause(t *testing.T) {
	got := map[history.Code]bool{}
	for name, scenario := range scenarios() {
		told := play(t, scenario)
		text, codes := told.answer(t, everyRecord)
		for _, code := range codes {
			got[code] = true
		}
		wantGolden(t, filepath.Join("testdata", "why", name+".golden"), text)
	}
	for _, code := range history.Codes() {
		if !got[code] {
			t.Errorf("no scenario is answered by %s", code)
		}
	}
}

func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if *updateGolden {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update accepts):\n%s", path, diff)
	}
}

// kind is what a record is about, so far as the runner tells it apart.
type kind struct {
	event  domain.Event
	reason string
	queued bool
}

func kindOf(r *domain.Record) kind {
	k := kind{event: r.Event, queued: r.Run.Job == ""}
	switch r.Event { //nolint:exhaustive // the reasons of others are texts
	case domain.EventSkipped, domain.EventCoalesced, domain.EventRegistered:
		k.reason = r.Reason
	}
	return k
}

// TestWhy_noDecisionIsSilent switches off each kind of record that the
// scenarios make, one after the other: some answer must change.
func TestWhy_noDecisionIsSilent(t *testing.T) {
	type answered struct {
		tale
		text string
	}
	var all []answered
	kinds := map[kind]bool{}
	for _, scenario := range scenarios() {
		told := play(t, scenario)
		text, _ := told.answer(t, everyRecord)
		all = append(all, answered{tale: told, text: text})
		for i := range told.records {
			if k := kindOf(&told.records[i]); k.event != domain.EventRegistered || !k.queued { // This one is told to replicas alone.
				kinds[k] = true
			}
		}
	}
	for k := range kinds {
		heard := slices.ContainsFunc(all, func(a answered) bool {
			text, _ := a.answer(t, func(r *domain.Record) bool { return kindOf(r) != k })
			return text != a.text
		})
		if !heard {
			t.Errorf("without the records %+v all answers are the same", k)
		}
	}
	for _, event := range events(t) {
		if !slices.ContainsFunc(all, func(a answered) bool {
			return slices.ContainsFunc(a.records, func(r domain.Record) bool { return r.Event == event })
		}) {
			t.Errorf("no scenario makes a record %s", event)
		}
	}
}
