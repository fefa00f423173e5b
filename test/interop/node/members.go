package node

import "fmt"

// Static calls a static method of a class of BullMQ and returns its result.
func (c *Client) Static(class, method string, args ...any) Value {
	c.t.Helper()
	value, err := c.call(Request{Op: "static", Class: class, Method: method, Args: args})
	if err != nil {
		c.t.Fatalf("%s.%s: %v", class, method, err)
	}
	return value
}

// KeepStatic is Static for a result to be kept as an object.
func (c *Client) KeepStatic(class, method string, args ...any) (*Object, Value) {
	c.t.Helper()
	return c.keep(Request{Op: "static", Class: class, Method: method, Args: args})
}

// KeepJob returns a stored job as an object.
func (q *Queue) KeepJob(id string) *Object {
	q.client.t.Helper()
	job, _ := q.Keep("getJob", id)
	return job
}

// KeepProperty returns a property, or what it promises, as an object.
func (o *Object) KeepProperty(path string) *Object {
	o.client.t.Helper()
	kept, _ := o.client.keep(Request{Op: "get", On: o.Name, Method: path})
	return kept
}

// Begin calls a method and does not wait for what its result promises.
func (o *Object) Begin(method string, args ...any) {
	o.client.t.Helper()
	if _, err := o.client.call(Request{Op: "call", On: o.Name, Method: method, Args: args, Loose: true}); err != nil {
		o.client.t.Fatalf("%s.%s: %v", o.Name, method, err)
	}
}

// Set sets a property.
func (o *Object) Set(property string, value any) {
	o.client.t.Helper()
	if _, err := o.client.call(Request{Op: "set", On: o.Name, Method: property, Args: []any{value}}); err != nil {
		o.client.t.Fatalf("%s.%s: %v", o.Name, property, err)
	}
}

// keep makes the request and has its result kept.
func (c *Client) keep(request Request) (*Object, Value) {
	c.t.Helper()
	kept := &Object{Name: fmt.Sprintf("kept%d", objectCount.Add(1)), client: c, closed: true}
	request.As = kept.Name
	value, err := c.call(request)
	if err != nil {
		c.t.Fatalf("%s%s.%s: %v", request.On, request.Class, request.Method, err)
	}
	return kept, value
}

// Listener is a function in the agent; its calls are its events "heard".
type Listener struct {
	*EventLog

	name string
}

// Listener returns a new function.
func (c *Client) Listener() *Listener {
	name := fmt.Sprintf("listener%d", objectCount.Add(1))
	c.t.Cleanup(func() { c.agent.link.Forget(name) })
	return &Listener{EventLog: c.agent.link.Log(name), name: name}
}

// Arg is the function as an argument.
func (l *Listener) Arg() any { return Opts{"$listener": l.name} }

// Telemetry is a telemetry client as an argument, whose spans are the
// listener's events: "span", "metadata", "exception" and the kinds of its meter.
func (l *Listener) Telemetry() any { return Opts{"$telemetry": l.name} }

// Sandboxed is the file of a processor as an argument: it returns what the
// job's data are to a process of its own.
func Sandboxed() any { return Opts{"$file": "sandboxed.js"} }

// Calls returns how often the function was called.
func (l *Listener) Calls() int { return len(l.All()) }
