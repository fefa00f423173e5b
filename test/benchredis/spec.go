package main

import (
	"encoding/json"
	"strings"
)

const (
	queueName = "bench"
	jobName   = "bench.work"
	// payloadBytes is the size of every payload.
	payloadBytes = 200
	// chunk is how many jobs a bulk producer hands over in one call.
	chunk = 1000
)

// spec tells a child what to do.
type spec struct {
	Host  string `json:"host"`
	Port  int    `json:"port"`
	Queue string `json:"queue"`
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`

	// Jobs is how many jobs to make or work; a worker ends before when its
	// input does. What it reports leaves out the first Warm.
	Jobs int `json:"jobs"`
	Warm int `json:"warm"`

	// Concurrency is a worker's. Latency makes it look at the clock.
	Concurrency int  `json:"concurrency"`
	Latency     bool `json:"latency"`

	// Chunk is how many jobs a producer adds in one call; with a Rate it adds
	// so many a second one by one instead.
	Chunk int `json:"chunk"`
	Rate  int `json:"rate"`
	// Flow, if set, is how many jobs the flows have in which a producer adds
	// them; it reports how long each took.
	Flow int `json:"flow"`
	// Pages, if set, is how often a producer reads its jobs, which it has added
	// before, in one page; it reports how long each took.
	Pages int `json:"pages"`
}

// payload is what every job carries. At is read from the machine's monotonic
// clock by the producer, in nanoseconds; zero if nobody looks.
type payload struct {
	At  int64  `json:"at"`
	Pad string `json:"pad"`
}

// newPayload returns a payload of so many bytes.
func newPayload(bytes int, at int64) []byte {
	bare, _ := json.Marshal(payload{At: at})
	full, _ := json.Marshal(payload{At: at, Pad: strings.Repeat("x", max(bytes-len(bare), 0))})
	return full
}

// message is a line that a child says.
type message struct {
	// Ready asks for the word to begin; Working tells that a worker waits for
	// jobs.
	Ready   bool    `json:"ready,omitempty"`
	Working bool    `json:"working,omitempty"`
	Report  *report `json:"report,omitempty"`
}

// report is what a child found out about itself.
type report struct {
	Jobs int `json:"jobs"`
	// Window is the number of jobs that the figures below are about.
	Window  int     `json:"window"`
	Seconds float64 `json:"seconds"`
	// CPU is the processor time of the process in seconds, Mallocs how many
	// objects it allocated; BullMQ's does not know.
	CPU     float64 `json:"cpu"`
	Mallocs uint64  `json:"mallocs"`
	// Latencies are milliseconds, one a job.
	Latencies []float64 `json:"latencies"`

	// peak is the largest resident memory of the process in bytes.
	peak uint64
}

// rate is the number of jobs a second.
func (r report) rate() float64 { return float64(r.Window) / r.Seconds }

// cpuMicros is the processor time of the process in microseconds a job.
func (r report) cpuMicros() float64 { return r.CPU * 1e6 / float64(r.Window) }

// allocations is how many objects the process allocated a job.
func (r report) allocations() float64 { return float64(r.Mallocs) / float64(r.Window) }
