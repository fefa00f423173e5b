package redisqueue_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

func TestAMixedBatchIsAnsweredJobByJob(t *testing.T) {
	server := redistest.Start(t)
	backend := open(t, server, nil)
	job := func(queue, name string, options domain.JobOptions) domain.NewJob {
		return domain.NewJob{Queue: domain.QueueName(queue), Name: name, Data: []byte(`{"n":1}`), Options: options}
	}
	got, err := backend.Enqueue(t.Context(),
		job("mail", "send", domain.JobOptions{}),
		job("mail", "send", domain.JobOptions{}),
		job("mail", "send", domain.JobOptions{Attempts: 3}),
		job("mail", "own", domain.JobOptions{ID: "mine"}),
		job("news", "send", domain.JobOptions{}),
		job("mail", "own", domain.JobOptions{ID: "mine"}),
		job("mail", "late", domain.JobOptions{Delay: time.Hour}),
		domain.NewJob{Queue: "mail", Name: "send"},
	)
	if err != nil {
		t.Fatal(err)
	}
	// As in Node, an own id uses up a number, too.
	want := []domain.EnqueueResult{
		{Status: domain.Accepted, ID: "1"},
		{Status: domain.Accepted, ID: "2"},
		{Status: domain.Accepted, ID: "3"},
		{Status: domain.Accepted, ID: "mine"},
		{Status: domain.Accepted, ID: "1"},
		{Status: domain.DuplicateID, ID: "mine"},
		{Status: domain.Accepted, ID: "6"},
		{Status: domain.Accepted, ID: "7"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Enqueue (-want +got):\n%s", diff)
	}
	waiting, err := server.Client().LRange(t.Context(), "bull:mail:wait", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"7", "mine", "3", "2", "1"}, waiting); diff != "" {
		t.Errorf("waiting, the latest first (-want +got):\n%s", diff)
	}
	if data, err := server.Client().HGet(t.Context(), "bull:mail:7", "data").Result(); err != nil || data != "{}" {
		t.Errorf("data of a job without any = %q, %v, want {}", data, err)
	}
}

func TestIDsCountOnOverAllCallsOfALongBatch(t *testing.T) {
	backend := open(t, redistest.Start(t), nil)
	jobs := make([]domain.NewJob, 450)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: "mail", Name: "send", Data: []byte(strconv.Itoa(i))}
	}
	got, err := backend.Enqueue(t.Context(), jobs...)
	if err != nil || len(got) != len(jobs) {
		t.Fatalf("Enqueue = %d results, %v, want %d", len(got), err, len(jobs))
	}
	for i, result := range got {
		if want := (domain.EnqueueResult{Status: domain.Accepted, ID: domain.JobID(strconv.Itoa(i + 1))}); result != want {
			t.Fatalf("result %d = %v, want %v", i, result, want)
		}
	}
}

// A job of this id would have a key that is the queue's own, or one below it.
func TestIDsThatAreKeysOfAQueueAreRefused(t *testing.T) {
	backend := open(t, redistest.Start(t), nil)
	for _, id := range []domain.JobID{"meta", "metrics", "dn", "de", "repeat"} {
		job := domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{ID: id}}
		if _, err := backend.Enqueue(t.Context(), job); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Enqueue with id %s = %v, want %v", id, err, domain.ErrInvalid)
		}
	}
}

// Both lists of them are one.
func TestReservedIDsAreTheSameInScripts(t *testing.T) {
	r := newRawQueue(t, nil)
	scripts, err := redisqueue.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	source := ""
	for _, s := range scripts {
		if s.Name == "operate_orphans" {
			source = s.Source
		}
	}
	_, list, _ := strings.Cut(source, "reserved = reserved or {")
	list, _, _ = strings.Cut(list, "}")
	for entry := range strings.SplitSeq(list, ",") {
		name, _, named := strings.Cut(strings.TrimSpace(entry), " = ")
		name = strings.Trim(name, "[']")
		if !named {
			continue
		}
		job := domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{ID: domain.JobID(name)}}
		if _, err := r.backend.Enqueue(t.Context(), job); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Enqueue with id %s = %v, want %v as scripts have it", name, err, domain.ErrInvalid)
		}
	}
}
