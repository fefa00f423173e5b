package redisqueue

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Client is a connection to the server that works a queue, or reads its
// events.
type Client struct {
	// Name is that of the worker; empty if it has none.
	Name string
	// Addr is where it connects from.
	Addr string
	// Connected is how long the connection has been there, Idle how long it
	// has sent nothing; both in whole seconds.
	Connected, Idle time.Duration
	// Fields are all that CLIENT LIST says of the connection, by its names.
	Fields map[string]string
}

// Workers returns the workers of the queue that are connected, whatever they
// are made with: one for each worker of Node's and each replica of Takt's that
// takes its jobs. Servers that do not let clients name themselves tell of none.
// It needs the right to CLIENT LIST, which deploy/redis-acl.conf does not give
// to workers.
func (q *Queue) Workers(ctx context.Context) ([]Client, error) {
	base := ClientName(q.backend.config.Prefix, q.name, "")
	return q.clients(ctx, func(name string) (string, bool) {
		if name == base {
			return "", true
		}
		return strings.CutPrefix(name, base+":w:")
	})
}

// EventReaders returns the connected readers of the queue's events that have
// the name that Node's QueueEvents give themselves.
func (q *Queue) EventReaders(ctx context.Context) ([]Client, error) {
	name := ClientName(q.backend.config.Prefix, q.name, "") + ":qe"
	return q.clients(ctx, func(text string) (string, bool) { return "", text == name })
}

// clients returns the connections whose name is one of those wanted, which
// wanted returns the worker's part of. In a cluster they are those to the node
// that has the queue, where all who work it are connected.
func (q *Queue) clients(ctx context.Context, wanted func(name string) (string, bool)) ([]Client, error) {
	list, err := ask(ctx, q.backend, "list clients", func() (string, error) { return q.backend.client.ClientList(ctx).Result() })
	if err != nil {
		return nil, fmt.Errorf("clients of queue %s: %w", q.name, err)
	}
	return selectClients(list, wanted), nil
}

// selectClients reads a list of connections, one a line of fields apart by
// spaces (https://redis.io/docs/latest/commands/client-list/).
func selectClients(list string, wanted func(name string) (string, bool)) []Client {
	var found []Client
	for line := range strings.Lines(list) {
		fields := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		if name, ok := wanted(fields["name"]); ok {
			found = append(found, Client{
				Name: name, Addr: fields["addr"], Connected: seconds(fields["age"]), Idle: seconds(fields["idle"]), Fields: fields,
			})
		}
	}
	return found
}

func seconds(text string) time.Duration {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}
