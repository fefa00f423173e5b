package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Request is one line to the agent; agent.js documents the operations.
type Request struct {
	ID     uint64 `json:"id"`
	Op     string `json:"op"`
	Name   string `json:"name,omitempty"`
	Class  string `json:"class,omitempty"`
	On     string `json:"on,omitempty"`
	Job    string `json:"job,omitempty"`
	Method string `json:"method,omitempty"`
	Args   []any  `json:"args,omitempty"`
	As     string `json:"as,omitempty"`
	Quiet  bool   `json:"quiet,omitempty"`
	Loose  bool   `json:"loose,omitempty"`
}

// Error is an error that Node threw.
type Error struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Event is something that an object emitted.
type Event struct {
	Name string
	Args []Value
	// At is when Node saw it, in Node's clock.
	At time.Time
}

type message struct {
	ID    uint64          `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *Error          `json:"error"`
	On    string          `json:"on"`
	Event string          `json:"event"`
	Args  []Value         `json:"args"`
	AtMS  int64           `json:"at"`
}

var errEnded = errors.New("the node process has ended")

// link is the conversation with one agent.
type link struct {
	ready chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	out     io.Writer
	last    uint64
	pending map[uint64]chan<- message
	logs    map[string]*EventLog
}

func newLink(out io.Writer) *link {
	return &link{
		ready: make(chan struct{}), ended: make(chan struct{}), out: out,
		pending: map[uint64]chan<- message{}, logs: map[string]*EventLog{},
	}
}

// Call sends the request and waits for its reply.
func (l *link) Call(ctx context.Context, request Request) (Value, error) {
	reply := make(chan message, 1)
	if err := l.send(&request, reply); err != nil {
		return nil, err
	}
	select {
	case m := <-reply:
		if m.Error != nil {
			return nil, m.Error
		}
		return m.OK, nil
	case <-l.ended:
		return nil, errEnded
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.pending, request.ID)
		return nil, fmt.Errorf("%s %s: no reply from node: %w", request.Op, request.Method, context.Cause(ctx))
	}
}

func (l *link) send(request *Request, reply chan<- message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	request.ID = l.last
	line, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", request.Op, request.Method, err)
	}
	l.pending[request.ID] = reply
	if _, err := l.out.Write(append(line, '\n')); err != nil {
		delete(l.pending, request.ID)
		return errEnded
	}
	return nil
}

// Log returns the log of what the object of the name emits from now on.
func (l *link) Log(name string) *EventLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := &EventLog{changed: make(chan struct{})}
	l.logs[name] = log
	return log
}

// Forget ends the log of the object.
func (l *link) Forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.logs, name)
}

// Read hands out what the agent writes until it ends.
func (l *link) Read(stdout io.Reader) {
	defer close(l.ended)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			// A client wrote to standard output; BullMQ prints its warnings there.
			continue
		}
		l.handOut(m)
	}
}

func (l *link) handOut(m message) {
	l.mu.Lock()
	reply, log := l.pending[m.ID], l.logs[m.On]
	delete(l.pending, m.ID)
	l.mu.Unlock()
	switch {
	case reply != nil:
		reply <- m
	case log != nil && m.Event != "":
		log.add(Event{Name: m.Event, Args: m.Args, At: time.UnixMilli(m.AtMS)})
	case m.Event == "ready" && m.On == "":
		close(l.ready)
	}
}
