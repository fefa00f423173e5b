package redisqueue

import (
	"context"
	"io/fs"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// EncodeOptions and DecodeOptions expose how options read on the wire.
var EncodeOptions = encodeOptions

// WireOptions are decoded options with what only this package knows of them.
type WireOptions struct {
	domain.JobOptions

	Completed, Failed     string
	KeepLogs, StackTraces int
}

// DecodeOptions reads options as they stand in a job's hash.
func DecodeOptions(text string) WireOptions {
	o := decodeOptions(text)
	return WireOptions{
		JobOptions: o.JobOptions,
		Completed:  o.completed, Failed: o.failed, KeepLogs: o.keepLogs, StackTraces: o.stackLimit,
	}
}

// DeniesWrites tells whether the error says that the server takes no writes.
func DeniesWrites(err error) bool { return denialOf(err) == deniesWrites }

// RememberedNames is how many names of what was done all sessions remember.
func RememberedNames(b *Backend) int {
	n := 0
	for _, s := range b.sessions.all {
		n += s.names
	}
	return n
}

// Script is a script with its includes resolved.
type Script struct {
	Name, Source string
	Keys         int
}

// Scripts returns the scripts that are built in, by name.
var Scripts = sync.OnceValues(func() ([]Script, error) { return ScriptsOf(luaFiles) })

// ScriptsOf returns the scripts of the files, by name.
func ScriptsOf(files fs.FS) ([]Script, error) {
	loaded, err := loadScripts(files)
	if err != nil {
		return nil, err
	}
	var scripts []Script
	for _, name := range slices.Sorted(maps.Keys(loaded)) {
		scripts = append(scripts, Script{Name: name, Source: loaded[name].source, Keys: loaded[name].keys})
	}
	return scripts, nil
}

// ClientCommands are the commands that a survey takes the package to send.
func ClientCommands() []string { return clientCommands() }

// LuaFiles are the scripts and includes as they stand in the repository.
func LuaFiles() fs.FS { return luaFiles }

// ReadReply reads the reply as each script of the queue might have given it,
// and returns the errors by script.
func ReadReply(reply any, count int) map[string]error {
	b, _ := New(Config{Connection: Connection{Addr: "127.0.0.1:1"}})
	c := &consumer{backend: b, queue: "q", held: map[domain.LeaseRef]*leased{}}
	errs := map[string]error{}
	_, errs["enqueue"] = readEnqueued(reply, count)
	_, _, errs["recover"] = readRecovered(reply)
	_, errs["inspect_counts"] = readCounts("q", reply)
	r := jobReader{backend: b, queue: "q", take: func(*domain.JobView, *[viewFields]string) {}}
	_, errs["inspect_jobs"] = r.readReply(reply, slices.Repeat([]string{"id"}, count))
	parts := leaseReader{}
	parts.rest, _ = reply.([]any)
	for len(parts.rest) > 0 && !parts.bad {
		c.readLease(&parts, "token")
	}
	if parts.bad {
		errs["move"] = errReply
	}
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	for u.rest != "" && u.err == nil {
		u.texts()
		_, _ = u.text()
		u.number()
	}
	errs["operate"] = u.err
	return errs
}

// ReadLease reads one lease as move.lua writes it, and returns what remained
// unread.
func ReadLease(reply []any) (lease domain.Lease, rest int, err error) {
	b, _ := New(Config{Connection: Connection{Addr: "127.0.0.1:1"}})
	c := &consumer{backend: b, queue: "q"}
	parts := leaseReader{rest: reply}
	lease, _ = c.readLease(&parts, "token")
	if parts.bad {
		err = errReply
	}
	return lease, len(parts.rest), err
}

// StackTraces returns the stack traces of a job that has some, after another
// failure.
func StackTraces(before string, limit int, outcome domain.Outcome) string {
	held := leased{options: &wireOptions{stackLimit: limit}, stacks: before}
	return held.stackTraces(&outcome)
}

// LatestStack returns the last stack trace of a list.
func LatestStack(stacks, reason string) string { return latestStack(stacks, strings.Clone(reason)) }

// DecodeEvent reads an entry of a stream of events.
var DecodeEvent = decodeEvent

// BeforeScript has do called once, before the backend's next call of the script.
func BeforeScript(b *Backend, name string, do func()) {
	b.client.AddHook(&scriptHook{hash: scriptNamed(name).Hash(), do: do})
}

type scriptHook struct {
	hash string
	once sync.Once
	do   func()
}

func (*scriptHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *scriptHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == h.hash {
			h.once.Do(h.do)
		}
		return next(ctx, cmd)
	}
}

func (*scriptHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// CallScript runs a script that is no numbered call of a session.
func CallScript(ctx context.Context, b *Backend, name string, keys []string, args ...any) (any, error) {
	return b.call(ctx, scriptNamed(name), keys, args)
}

// Divert has the backend's calls go to another address than the cluster names.
// It comes before all calls; connections that block go where they went.
func Divert(b *Backend, from, to string) {
	connect := b.follower.connect
	b.follower.connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == from {
			addr = to
		}
		return connect(ctx, network, addr)
	}
}

// SearchOutlives tells whether a search goes on after a call that began it while
// the last connection was closed.
func SearchOutlives(ctx context.Context) bool {
	f := newFollower(lostFinder{}, nil)
	near, far := net.Pipe()
	defer far.Close() //nolint:errcheck // a pipe
	conn := &followedConn{Conn: near, follower: f}
	f.conns[conn], f.doubted = struct{}{}, true

	f.search.mu.Lock() // the call comes so far
	var call sync.WaitGroup
	call.Go(func() { f.ensure(ctx) })
	for called := false; !called; runtime.Gosched() {
		f.mu.Lock()
		called = !f.used.IsZero()
		f.mu.Unlock()
	}
	_ = conn.end()
	f.search.mu.Unlock()
	call.Wait()

	f.search.mu.Lock()
	outlives := f.search.found != nil
	f.search.mu.Unlock()
	f.search.close()
	return outlives
}

// lostFinder never finds the server.
type lostFinder struct{}

func (lostFinder) find(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (lostFinder) doubt() {}
