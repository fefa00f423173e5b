package node

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds every wait for Node.
const patience = 30 * time.Second

// objectCount makes the names of objects unique in the process.
var objectCount atomic.Uint64 //nolint:gochecknoglobals // a counter of names

// Client is one test's use of an agent and of one Redis database. What it
// made is closed with the test.
type Client struct {
	Version string

	t     testing.TB
	agent *Agent
	conn  any
	// prefix is BullMQ's; empty leaves Node's default, bull.
	prefix string
}

// Connect returns a client of the agent that connects to host:port.
func Connect(tb testing.TB, agent *Agent, addr string) *Client {
	tb.Helper()
	conn := placeOf(tb, addr)
	conn["maxRetriesPerRequest"] = nil
	return &Client{Version: agent.Version, t: tb, agent: agent, conn: conn}
}

// ConnectCluster returns a client of the agent whose objects share one
// connection to the cluster with the nodes, each host:port.
func ConnectCluster(tb testing.TB, agent *Agent, nodes ...string) *Client {
	tb.Helper()
	places := make([]Opts, len(nodes))
	for i, addr := range nodes {
		places[i] = placeOf(tb, addr)
	}
	c := &Client{Version: agent.Version, t: tb, agent: agent}
	cluster := &Object{Name: fmt.Sprintf("Cluster%d", objectCount.Add(1)), client: c}
	cluster.EventLog = agent.link.Log(cluster.Name)
	tb.Cleanup(cluster.discard)
	request := Request{Op: "new", Class: "Cluster", Name: cluster.Name, Args: []any{places}, Quiet: true}
	if _, err := c.call(request); err != nil {
		tb.Fatalf("connect to the cluster: %v", err)
	}
	c.conn = Ref(cluster.Name)
	return c
}

func placeOf(tb testing.TB, addr string) Opts {
	tb.Helper()
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatalf("address of Redis: %v", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		tb.Fatalf("address of Redis: %v", err)
	}
	return Opts{"host": host, "port": port}
}

// Database returns a client of another database of the same server.
func (c *Client) Database(db int) *Client {
	other := *c
	conn, _ := c.conn.(Opts)
	conn = maps.Clone(conn)
	conn["db"] = db
	other.conn = conn
	return &other
}

// Prefixed returns a client with another prefix of keys.
func (c *Client) Prefixed(prefix string) *Client {
	other := *c
	other.prefix = prefix
	return &other
}

// Object is an object that lives in the agent.
type Object struct {
	*EventLog

	// Name is what [Ref] takes.
	Name   string
	client *Client
	closed bool
}

// New makes an object of the class with a connection among its options.
func (c *Client) New(class string, opts Opts, args ...any) *Object {
	c.t.Helper()
	return c.make(Request{Class: class}, opts, args)
}

// NewQuiet is New without a log of events, for objects that emit many.
func (c *Client) NewQuiet(class string, opts Opts, args ...any) *Object {
	c.t.Helper()
	return c.make(Request{Class: class, Quiet: true}, opts, args)
}

func (c *Client) make(request Request, opts Opts, args []any) *Object {
	c.t.Helper()
	name := fmt.Sprintf("%s%d", request.Class, objectCount.Add(1))
	full := Opts{"connection": c.conn}
	if c.prefix != "" {
		full["prefix"] = c.prefix
	}
	maps.Copy(full, opts)
	o := &Object{EventLog: c.agent.link.Log(name), Name: name, client: c}
	request.Op, request.Name, request.Args = "new", name, append(args, full)
	c.t.Cleanup(func() { o.discard() })
	if _, err := c.call(request); err != nil {
		c.t.Fatalf("new %s: %v", request.Class, err)
	}
	return o
}

// discard closes the object without waiting for its jobs.
func (o *Object) discard() {
	defer o.client.agent.link.Forget(o.Name)
	if o.closed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	// Node may be gone, or hang on a server that is gone: both are the test's own doing.
	_, _ = o.client.agent.Call(ctx, Request{Op: "close", On: o.Name, Args: []any{true}})
}

// Close closes the object and waits for its jobs, if it has any.
func (o *Object) Close() {
	o.client.t.Helper()
	o.closed = true
	if _, err := o.client.call(Request{Op: "close", On: o.Name}); err != nil {
		o.client.t.Fatalf("close %s: %v", o.Name, err)
	}
}

// Call calls a method, which may be a dotted path, and returns its result.
func (o *Object) Call(method string, args ...any) Value {
	o.client.t.Helper()
	value, err := o.Try(method, args...)
	if err != nil {
		o.client.t.Fatalf("%s.%s: %v", o.Name, method, err)
	}
	return value
}

// Try is Call for calls that may fail.
func (o *Object) Try(method string, args ...any) (Value, error) {
	return o.client.call(Request{Op: "call", On: o.Name, Method: method, Args: args})
}

// Keep calls a method and returns its result as an object of its own, which
// must not be null.
func (o *Object) Keep(method string, args ...any) (*Object, Value) {
	o.client.t.Helper()
	return o.client.keep(Request{Op: "call", On: o.Name, Method: method, Args: args})
}

// Get returns a property, which may be a dotted path.
func (o *Object) Get(path string) Value {
	o.client.t.Helper()
	value, err := o.client.call(Request{Op: "get", On: o.Name, Method: path})
	if err != nil {
		o.client.t.Fatalf("%s.%s: %v", o.Name, path, err)
	}
	return value
}

// Gate returns the name of a gate that nobody else uses.
func (c *Client) Gate() string { return fmt.Sprintf("gate%d", objectCount.Add(1)) }

// Open lets the steps that await the gate go on.
func (c *Client) Open(gate string) {
	c.t.Helper()
	if _, err := c.call(Request{Op: "open", Name: gate}); err != nil {
		c.t.Fatalf("open %s: %v", gate, err)
	}
}

func (c *Client) call(request Request) (Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.agent.Call(ctx, request)
}
