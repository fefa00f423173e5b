package porttest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/taktwork/takt/core/domain"
)

// outcomes returns batches of outcomes of queue jobs, as a busy worker has them:
// nearly all alike. Among them are ids that are awkward to write, decisions that
// need a reason, and other replicas' records that come late.
func outcomes(dice *rand.Rand) (batches [][]domain.Record) {
	ids := []domain.JobID{"a\"b", `back\slash`, "ümläut", "tab\tnew\nline", "<&>", "\u2028", " ", "007"}
	began := recordAt(0).At
	for b := range 6 {
		batch := make([]domain.Record, 0, 120)
		for i := range cap(batch) {
			r := domain.Record{
				At: began.Add(time.Duration(b)*700*time.Millisecond + time.Duration(i*i)*time.Microsecond), Replica: "ann",
				Event: domain.EventCompleted, Queue: "mail", JobName: oneOf(dice, "send", "send", "sort"),
				JobID: domain.JobID(fmt.Sprint(1000*b + i)), Attempt: 1, Took: time.Duration(dice.IntN(5000)) * time.Microsecond,
			}
			switch dice.IntN(12) {
			case 0:
				r.JobID = oneOf(dice, ids...)
			case 1:
				r.Attempt, r.Late, r.Wait, r.Count = dice.IntN(4), time.Duration(dice.IntN(9))*time.Millisecond, time.Duration(dice.IntN(9))*time.Hour, dice.IntN(3)
			case 2:
				r.Event, r.Reason = domain.EventFailed, "no answer"
			case 3:
				r.Event, r.Wait, r.Reason = domain.EventRetrying, time.Second, "no answer"
			case 4:
				r.At = r.At.Add(-time.Duration(dice.IntN(3000)) * time.Millisecond)
			}
			batch = append(batch, r)
		}
		batches = append(batches, batch)
	}
	return batches
}

// A store may cut ids that are very long, but not so that their jobs are lost.
func (s runStage) findsLongIDs() {
	lengths := []int{1, 255, 256, 257, 511, 512, 513, 700}
	for begin, alike := range map[string]int{"one ": 1, "many ": 50} {
		for _, length := range lengths {
			batch := make([]domain.Record, alike)
			for i := range batch {
				batch[i] = domain.Record{
					At: recordAt(length).At, Replica: "ann", Event: domain.EventCompleted, Queue: "mail", JobName: begin,
					JobID: domain.JobID(fmt.Sprint(begin, length, " ", i, strings.Repeat("x", length))[:length+len(begin)]),
				}
			}
			s.add(batch...)
			for _, ids := range [][]domain.JobID{{batch[alike-1].JobID}, {"none", batch[alike-1].JobID}} {
				found := s.find(domain.RunFilter{JobIDs: ids, JobName: begin, Since: recordAt(length).At, Before: recordAt(length).At.Add(time.Second)})
				if len(found) == 0 || !strings.HasPrefix(string(batch[alike-1].JobID), string(found[0].JobID)) {
					s.Errorf("of %d, a job with an id of %d bytes: found %d records, want its own", alike, len(batch[alike-1].JobID), len(found))
				}
			}
		}
	}
}

// However many are alike, and however a store keeps them, each is found like any
// other.
func (s runStage) keepsOutcomes() {
	dice := rand.New(rand.NewPCG(5, 6))
	var all []domain.Record
	for _, batch := range outcomes(dice) {
		s.add(batch...)
		all = append(all, batch...)
	}
	s.want(domain.RunFilter{AfterID: -1, Limit: 1000}, all...)
	known := s.find(domain.RunFilter{AfterID: -1, Limit: 1000})
	filters := []domain.RunFilter{
		{},
		{Queue: "mail"},
		{Queue: "post"},
		{JobName: "sort"},
		{Events: []domain.Event{domain.EventCompleted}},
		{Replica: "ann", JobName: "send"},
		{Replica: "bob"},
		{JobIDs: []domain.JobID{"none"}},
		{Job: "report"},
	}
	for range 10 {
		r := oneOf(dice, known...)
		ids := []domain.JobID{r.JobID, "none", oneOf(dice, known...).JobID}
		filters = append(filters, domain.RunFilter{JobIDs: ids[:1]}, domain.RunFilter{Queue: r.Queue, JobIDs: ids[:1], Before: r.At, BeforeID: r.ID},
			domain.RunFilter{JobIDs: ids, Since: r.At}, domain.RunFilter{JobIDs: ids, AfterID: known[0].ID},
			domain.RunFilter{Since: r.At, Events: []domain.Event{r.Event}}, domain.RunFilter{Before: r.At}, (&domain.RunFilter{JobName: r.JobName}).Older(&r),
			domain.RunFilter{AfterID: r.ID}, domain.RunFilter{AfterID: r.ID, JobName: "sort", Before: oneOf(dice, known...).At})
	}
	for _, filter := range filters {
		for _, filter.Limit = range []int{1, 7, 1000} {
			s.wantSelected(filter, known)
		}
	}
}

// wantSelected checks that the answer is what the domain selects of the records, and
// returns how many that are.
func (s runStage) wantSelected(filter domain.RunFilter, all []domain.Record) int {
	s.Helper()
	var want []domain.Record
	for i := range all {
		if filter.Selects(&all[i]) {
			want = append(want, all[i])
		}
	}
	slices.SortFunc(want, func(a, b domain.Record) int {
		if filter.AfterID != 0 {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
	want = want[:min(len(want), filter.Limit)]
	got := s.find(filter)
	if len(want) == 0 && len(got) == 0 || reflect.DeepEqual(want, got) {
		return len(want) // hundreds of answers are compared: to look for differences takes longer than all else
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		s.Fatalf("Query(%+v) differs (-want +got):\n%s", filter, diff)
	}
	return len(want)
}
