package node

import "maps"

// Queue is a Queue of BullMQ.
type Queue struct{ *Object }

// Queue opens a queue.
func (c *Client) Queue(name string, opts ...Opts) *Queue {
	c.t.Helper()
	return &Queue{c.New("Queue", merge(opts), name)}
}

func merge(all []Opts) Opts {
	merged := Opts{}
	for _, opts := range all {
		maps.Copy(merged, opts)
	}
	return merged
}

// Add adds a job.
func (q *Queue) Add(name string, data any, opts ...Opts) Job {
	q.client.t.Helper()
	return Decode[Job](q.client.t, q.Call("add", name, data, merge(opts)))
}

// BulkJob is one job of [Queue.AddBulk].
type BulkJob struct {
	Name string `json:"name"`
	Data any    `json:"data"`
	Opts Opts   `json:"opts,omitempty"`
}

// AddBulk adds jobs.
func (q *Queue) AddBulk(jobs ...BulkJob) []Job {
	q.client.t.Helper()
	return Decode[[]Job](q.client.t, q.Call("addBulk", jobs))
}

// Job returns the job, or nil if there is none.
func (q *Queue) Job(id string) *Job {
	q.client.t.Helper()
	return Decode[*Job](q.client.t, q.Call("getJob", id))
}

// MustJob returns the job.
func (q *Queue) MustJob(id string) *Job {
	q.client.t.Helper()
	job := q.Job(id)
	if job == nil {
		q.client.t.Fatalf("%s: node finds no job %s", q.Name, id)
	}
	return job
}

// OnJob calls a method of a stored job.
func (q *Queue) OnJob(id, method string, args ...any) Value {
	q.client.t.Helper()
	value, err := q.TryOnJob(id, method, args...)
	if err != nil {
		q.client.t.Fatalf("job %s: %s: %v", id, method, err)
	}
	return value
}

// TryOnJob is OnJob for calls that may fail.
func (q *Queue) TryOnJob(id, method string, args ...any) (Value, error) {
	return q.client.call(Request{Op: "job", On: q.Name, Job: id, Method: method, Args: args})
}

// State returns the job's state in Node's words.
func (q *Queue) State(id string) string {
	q.client.t.Helper()
	return Decode[string](q.client.t, q.Call("getJobState", id))
}

// Counts returns the counts of the states; without a state, of Node's default list.
func (q *Queue) Counts(states ...any) map[string]int {
	q.client.t.Helper()
	return Decode[map[string]int](q.client.t, q.Call("getJobCounts", states...))
}

// Jobs returns the jobs in the states, in Node's ascending order.
func (q *Queue) Jobs(states ...string) []Job {
	q.client.t.Helper()
	return Decode[[]Job](q.client.t, q.Call("getJobs", states, 0, -1, true))
}

// IDs returns the ids of the jobs in the states, in Node's ascending order.
func (q *Queue) IDs(states ...string) []string {
	q.client.t.Helper()
	ids := []string{}
	for _, job := range q.Jobs(states...) {
		ids = append(ids, job.ID)
	}
	return ids
}

// Logs returns the log lines of the job and how many there are.
func (q *Queue) Logs(id string) ([]string, int) {
	q.client.t.Helper()
	logs := Decode[struct {
		Logs  []string `json:"logs"`
		Count int      `json:"count"`
	}](q.client.t, q.Call("getJobLogs", id))
	return logs.Logs, logs.Count
}

// Events listens to the events of a queue, from the oldest that is kept.
func (c *Client) Events(queue string, opts ...Opts) *Object {
	c.t.Helper()
	return c.New("QueueEvents", merge(append([]Opts{{"lastEventId": "0-0", "blockingTimeout": 1000}}, opts...)), queue)
}

// Flow opens a FlowProducer.
func (c *Client) Flow() *Object {
	c.t.Helper()
	return c.New("FlowProducer", nil)
}
