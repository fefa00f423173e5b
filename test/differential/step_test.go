package differential_test

import "encoding/json"

// step is one operation of a sequence. Do says which:
//
//	queue     Method of the Queue object with Args
//	job       Method of the job ID of the queue
//	scheduled Method of the job that the job scheduler ID waits for
//	flow      Method of a FlowProducer
//	events    Method of a QueueEventsProducer of Queue
//	get       what Method tells of Queue, or of its job ID (driver/getters.js)
//	enqueue   Jobs on Queue, Node's by add or addBulk
//	fetch     takes jobs into the free slots Next
//	settle    ends the jobs of slots, and takes others into the slots Next
//	extend    renews the lock of the job in Slot
//	note      writes Data, Progress and Lines of the job in Slot
//	recover   one scan for stalled jobs
//	touch     something done to Redis directly: Method and Amount (touches)
//
// The first six are by Node on both databases, unless Ours says that Takt does
// on its own what it has for the method (twins).
type step struct {
	Do       string          `json:"do"`
	Ours     bool            `json:"ours,omitempty"`
	Queue    string          `json:"queue,omitempty"`
	Method   string          `json:"method,omitempty"`
	ID       string          `json:"id,omitempty"`
	Args     []any           `json:"args,omitempty"`
	Jobs     []jobSpec       `json:"jobs,omitempty"`
	Slot     int             `json:"slot"`
	Next     []int           `json:"next,omitempty"`
	Endings  []ending        `json:"endings,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Progress json.RawMessage `json:"progress,omitempty"`
	Lines    []string        `json:"lines,omitempty"`
	Amount   int             `json:"amount,omitempty"`
	// Apply has Takt do it to a list of jobs with one in it, as its commands do.
	Apply bool `json:"apply,omitempty"`
}

// ending says what becomes of the job in a slot: complete with Value, fail or
// unrecoverable with Reason, snooze for MS, back, limit for MS, children.
type ending struct {
	Slot   int             `json:"slot"`
	Kind   string          `json:"kind"`
	Value  json.RawMessage `json:"value,omitempty"`
	Reason string          `json:"reason"`
	MS     int64           `json:"ms,omitempty"`
}

// setup is what the workers of a sequence have in common, and whether a Node
// program has Signed the queues before.
type setup struct {
	Signed        bool   `json:"signed,omitempty"`
	Name          string `json:"name,omitempty"`
	Limiter       int    `json:"limiter,omitempty"`
	Metrics       int    `json:"metrics,omitempty"`
	KeepCompleted int    `json:"keepCompleted,omitempty"`
	KeepFailed    int    `json:"keepFailed,omitempty"`
}

// sequence is what is played on both sides.
type sequence struct {
	Setup setup  `json:"setup"`
	Steps []step `json:"steps"`
}

// now stands for a time so many ms from the moment of the step.
func now(ms int64) any { return map[string]any{"$now": ms} }

const hour = int64(3_600_000)

// request returns the step as the Node driver takes it.
func (s step) request() step {
	if s.Do != "enqueue" {
		return s
	}
	out := step{Do: "queue", Queue: s.Queue, Method: "add"}
	if len(s.Jobs) == 1 {
		out.Args = []any{s.Jobs[0].Name, s.Jobs[0].Data, s.Jobs[0].node()}
		return out
	}
	bulk := make([]any, len(s.Jobs))
	for i, job := range s.Jobs {
		bulk[i] = map[string]any{"name": job.Name, "data": job.Data, "opts": job.node()}
	}
	out.Method, out.Args = "addBulk", []any{bulk}
	return out
}
