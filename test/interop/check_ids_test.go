package interop_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

func TestCheck34_ACustomIDIsTakenOnce(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		byNode := func(id string, data string) string {
			return queue.Add("send", data, node.Opts{"jobId": id}).ID
		}
		byTakt := func(id string, data string) string {
			return string(l.putAll(job("send", `"`+data+`"`, domain.JobOptions{ID: domain.JobID(id)}))[0].ID)
		}
		for id, add := range map[string][2]func(string, string) string{
			"tt": {byTakt, byTakt}, "nt": {byNode, byTakt}, "tn": {byTakt, byNode},
		} {
			before, _ := l.redis.Get(t.Context(), key("id")).Int()
			if first, second := add[0](id, "first"), add[1](id, "second"); first != id || second != id {
				t.Errorf("ids = %s, %s, want %s twice", first, second, id)
			}
			l.wantHash(id, map[string]string{"data": `"first"`})
			if after, _ := l.redis.Get(t.Context(), key("id")).Int(); after != before+2 {
				t.Errorf("%s: the id counter went from %d to %d, want two up", id, before, after)
			}
		}
		if n := len(events.Await(t, 3, "duplicated")); n != 3 {
			t.Errorf("%d duplicated events, want one an id", n)
		}
	})
}

func TestCheck34_TaktSaysThatAnIDIsTaken(t *testing.T) {
	l := labWithoutNode(t)
	twice := job("send", `{}`, domain.JobOptions{ID: "x"})
	results := l.putAll(twice, twice)
	want := []domain.EnqueueResult{{Status: domain.Accepted, ID: "x"}, {Status: domain.DuplicateID, ID: "x"}}
	if !slices.Equal(results, want) {
		t.Errorf("Enqueue = %v, want %v", results, want)
	}
}

func TestCheck35_TaktRefusesIDsThatWouldClash(t *testing.T) {
	l := labWithoutNode(t)
	for _, id := range []domain.JobID{
		"7", "0", "0:x", "a:b", "wait", "meta", "active", "waiting-children", "paused", "id", "delayed", "prioritized",
		"stalled-check", "completed", "failed", "stalled", "repeat", "limiter", "events", "pc", "marker", "de", "delay", "priority",
	} {
		if _, err := l.producer().Enqueue(t.Context(), job("send", `{}`, domain.JobOptions{ID: id})); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Enqueue with id %q = %v, want ErrInvalid", id, err)
		}
	}
	l.wantNoKeys()
	if id := l.put("send", `{}`); id != "1" {
		t.Errorf("the id of a job without one = %s, want the counter's 1", id)
	}
}

func TestCheck36_TheIDsOfBothProducersInterleave(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		var ids []string
		for range 3 {
			ids = append(ids, queue.Add("send", 1).ID, l.put("send", `1`))
			for _, bulk := range queue.AddBulk(node.BulkJob{Name: "send"}, node.BulkJob{Name: "send"}) {
				ids = append(ids, bulk.ID)
			}
			for _, result := range l.putAll(job("send", `1`), job("send", `1`)) {
				ids = append(ids, string(result.ID))
			}
		}
		want := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18"}
		if !slices.Equal(ids, want) {
			t.Errorf("ids = %v, want %v", ids, want)
		}
	})
}
