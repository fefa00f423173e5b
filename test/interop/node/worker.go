package node

// Step is one thing that a worker does with a job; agent/steps.js has them all.
type Step = Opts

// Steps say what a worker does with the jobs of a name, "*" with all others.
// Jobs without steps are echoed: their data is their result.
type Steps map[string][]Step

// Return ends the job with the value.
func Return(value any) Step { return Step{"do": "return", "value": value} }

// Echo ends the job with its data.
func Echo() Step { return Step{"do": "echo"} }

// Fail fails every attempt.
func Fail(message string) Step { return Step{"do": "fail", "message": message} }

// FailTimes fails the first n attempts.
func FailTimes(n int, message string) Step {
	return Step{"do": "fail", "message": message, "times": n}
}

// Throw throws an error of one of BullMQ's classes.
func Throw(class, message string) Step {
	return Step{"do": "throw", "class": class, "message": message}
}

// AwaitGate holds the job until [Client.Open].
func AwaitGate(gate string) Step { return Step{"do": "await", "gate": gate} }

// Sleep holds the job for a time.
func Sleep(ms int) Step { return Step{"do": "sleep", "ms": ms} }

// AwaitCancel holds the job until the worker cancels it, and fails it then.
func AwaitCancel() Step { return Step{"do": "awaitCancel"} }

// Progress reports the value.
func Progress(value any) Step { return Step{"do": "progress", "value": value} }

// Delay puts the job off once, uncharged.
func Delay(ms int) Step { return Step{"do": "delay", "ms": ms} }

// Record appends a line about the attempt to the file: {"by","queue","id",
// "name","attempt","at","event"}.
func Record(file, event string) Step { return Step{"do": "record", "file": file, "event": event} }

// Worker is a Worker of BullMQ.
type Worker struct{ *Object }

// Worker starts a worker of the queue.
func (c *Client) Worker(queue string, steps Steps, opts ...Opts) *Worker {
	c.t.Helper()
	return &Worker{c.New("Worker", merge(opts), queue, Opts{"$steps": steps})}
}

// QuietWorker is Worker without a log of events, for many jobs.
func (c *Client) QuietWorker(queue string, steps Steps, opts ...Opts) *Worker {
	c.t.Helper()
	return &Worker{c.NewQuiet("Worker", merge(opts), queue, Opts{"$steps": steps})}
}

// Manual opens a worker that takes jobs only when asked.
func (c *Client) Manual(queue string, opts ...Opts) *Worker {
	c.t.Helper()
	base := Opts{"autorun": false, "drainDelay": 0.01}
	return &Worker{c.New("Worker", merge(append([]Opts{base}, opts...)), queue, nil)}
}

// Next takes the next job under the token, without blocking, and returns it
// as an object with what Node sees of it; nil if there is none.
func (w *Worker) Next(token string) (*Object, *Job) {
	w.client.t.Helper()
	object, value := w.Keep("getNextJob", token, Opts{"block": false})
	job := Decode[*Job](w.client.t, value)
	if job == nil {
		return nil, nil
	}
	return object, job
}
