package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"testing"

	benchredis "github.com/taktwork/takt/test/benchredis"
	"github.com/taktwork/takt/test/redistest"
)

// said is a line of a child.
type said struct {
	Ready, Working bool
	Report         *struct {
		Jobs, Window int
		Seconds      float64
		Mallocs      uint64
		Latencies    []float64
	}
}

// talk runs a child that is told to begin and, when it works, whatever words
// are left; it returns what the child said.
func talk(t *testing.T, role string, s benchredis.Spec, words ...string) []said {
	t.Helper()
	stdin, tell := io.Pipe()
	hear, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- benchredis.Child(t.Context(), role, s, stdin, stdout)
		_ = stdout.Close()
	}()
	var all []said
	lines := bufio.NewScanner(hear)
	for lines.Scan() {
		var m said
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatalf("the child said %q: %v", lines.Text(), err)
		}
		all = append(all, m)
		switch {
		case m.Ready:
			_, _ = io.WriteString(tell, "begin\n")
		case m.Working:
			for _, word := range words {
				_, _ = io.WriteString(tell, word+"\n")
			}
		case m.Report != nil:
			_ = tell.Close()
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("the %s ended with %v", role, err)
	}
	return all
}

// specOn is a specification of jobs on a server of the test's own.
func specOn(server *redistest.Server, jobs int) benchredis.Spec {
	return benchredis.Spec{Host: "127.0.0.1", Port: server.Port, Queue: "bench", Name: "bench.work", Bytes: 200, Chunk: 100, Jobs: jobs}
}

func TestAWorkerReportsOnTheJobsAfterTheFirst(t *testing.T) {
	server := redistest.Start(t)
	produced := talk(t, "producer", specOn(server, 1000))
	if last := produced[len(produced)-1].Report; last == nil || last.Window != 1000 || last.Seconds <= 0 {
		t.Fatalf("the producer said %+v, want a report on 1000 jobs", produced)
	}
	what := specOn(server, 1000)
	what.Warm, what.Concurrency = 100, 50
	worked := talk(t, "worker", what)
	r := worked[len(worked)-1].Report
	if r == nil || r.Jobs != 1000 || r.Window != 900 || r.Seconds <= 0 || r.Mallocs == 0 {
		t.Fatalf("the worker said %+v, want a report on 900 of 1000 jobs", worked)
	}
	if completed, err := server.Client().ZCard(t.Context(), "bull:bench:completed").Result(); err != nil || completed != 1000 {
		t.Errorf("%d jobs completed, %v, want 1000", completed, err)
	}
}

func TestAWorkerMeasuresHowLongJobsWaited(t *testing.T) {
	server := redistest.Start(t)
	what := specOn(server, 20)
	what.Rate = 1000
	talk(t, "producer", what)
	what.Rate, what.Concurrency, what.Latency = 0, 5, true
	worked := talk(t, "worker", what)
	r := worked[len(worked)-1].Report
	if r == nil || len(r.Latencies) != 20 {
		t.Fatalf("the worker said %+v, want 20 latencies", worked)
	}
	for _, ms := range r.Latencies {
		if ms <= 0 || ms > 60_000 {
			t.Errorf("a job waited for %v ms, want the time since it was added", ms)
		}
	}
}

func TestAWorkerStopsWhenItIsToldTo(t *testing.T) {
	server := redistest.Start(t)
	what := specOn(server, 1000)
	what.Concurrency = 5
	worked := talk(t, "worker", what, "enough")
	if r := worked[len(worked)-1].Report; r == nil || r.Jobs != 0 || r.Window != 0 {
		t.Errorf("the worker said %+v, want a report on nothing", worked)
	}
}

func TestAProducerAddsFlows(t *testing.T) {
	server := redistest.Start(t)
	what := specOn(server, 38)
	what.Flow = 19
	added := talk(t, "producer", what)
	r := added[len(added)-1].Report
	if r == nil || len(r.Latencies) != 2 {
		t.Fatalf("the producer said %+v, want how long 2 flows took", added)
	}
	if n := server.Client().ZCard(t.Context(), "bull:"+what.Queue+":waiting-children").Val(); n != 20 {
		t.Errorf("%d parents wait, want 20", n)
	}
}

func TestAProducerReadsPagesOfWhatItAdded(t *testing.T) {
	server := redistest.Start(t)
	what := specOn(server, 30)
	what.Pages = 3
	read := talk(t, "producer", what)
	if r := read[len(read)-1].Report; r == nil || len(r.Latencies) != 3 {
		t.Errorf("the producer said %+v, want how long 3 pages took", read)
	}
}
