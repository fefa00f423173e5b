package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/taktwork/takt/core/domain"
)

func TestRunFilterOfJobIDs(t *testing.T) {
	t.Parallel()
	job := func(queue domain.QueueName, id domain.JobID) *domain.Record {
		return &domain.Record{ID: 1, Queue: queue, JobID: id}
	}
	for _, c := range []struct {
		ids    []domain.JobID
		record *domain.Record
		want   bool
	}{
		{nil, job("mail", "1"), true},
		{nil, job("mail", ""), true},
		{nil, job("post", "1"), false},
		{[]domain.JobID{"1"}, job("mail", "1"), true},
		{[]domain.JobID{"1"}, job("mail", "2"), false},
		{[]domain.JobID{"1", "2"}, job("mail", "2"), true},
		{[]domain.JobID{"1", "2"}, job("mail", "3"), false},
		{[]domain.JobID{"1", "2"}, job("post", "2"), false},
		{[]domain.JobID{""}, job("mail", ""), false},
		{[]domain.JobID{"", "1"}, job("mail", ""), false},
	} {
		filter := domain.RunFilter{Queue: "mail", JobIDs: c.ids}
		if selects, selector := filter.Selects(c.record), filter.Selector()(c.record); selects != c.want || selector != c.want {
			t.Errorf("%q: of queue %s job %q Selects = %t, Selector = %t, want %t", c.ids, c.record.Queue, c.record.JobID, selects, selector, c.want)
		}
	}
}

// A worker refuses fields that it does not know: of those that are not used a newer
// client must not send any.
func TestRunFilter_writesNoZeroField(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(domain.RunFilter{})
	if err != nil || string(got) != "{}" {
		t.Errorf("Marshal of the zero filter = %s, %v, want {}", got, err)
	}
}
