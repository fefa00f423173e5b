package redisqueue

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

// followTimeout bounds finding a server and connecting to it.
const followTimeout = 2 * dialTimeout

// follower leads the connections of one client to the server that has the
// queues' keys at the time: a primary after a failover, the node that a slot
// moved to. It asks before each connection, and after whatever makes doubtful
// that the server is still the one. When it is another one, the connections
// to the old one are closed: calls under way fail, and are repeated.
//
// A command is never sent a second time, nor to a second server: whether it may
// be sent again is for the caller to know.
type follower struct {
	finder
	search  search
	connect func(ctx context.Context, network, addr string) (net.Conn, error)

	// beginning is held while anew is under way.
	beginning sync.Mutex

	mu sync.Mutex
	// addr is where the server is, as far as is known.
	addr string
	// hint is where the server has moved to in its own words.
	hint string
	// doubted is set while it is unsure that the server is the one.
	doubted bool
	conns   map[*followedConn]struct{}
	// anew is called before the first connection to a server that may not have
	// what the one before had, and makes it fail. epoch counts such servers,
	// epochAddr is where the latest of them is.
	anew      func(ctx context.Context, addr string) error
	epoch     uint64
	epochAddr string
	// used is when the latest command was sent, ended when the latest one before
	// the epoch was.
	used, ended time.Time
}

func newFollower(f finder, connect func(ctx context.Context, network, addr string) (net.Conn, error)) *follower {
	return &follower{finder: f, connect: connect, conns: map[*followedConn]struct{}{}}
}

// dial connects to where the server is. If nobody says where, it is looked for
// where it was.
func (f *follower) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	addr, unfound := f.look(ctx)
	f.relax()
	if addr == "" {
		return nil, unfound
	}
	conn, err := f.connect(ctx, network, addr)
	if err != nil {
		f.suspect("")
		return nil, errors.Join(unfound, err)
	}
	if err := f.begin(ctx, addr); err != nil {
		_ = conn.Close()
		return nil, err
	}
	followed := &followedConn{Conn: conn, follower: f, addr: addr}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.addr != addr {
		_ = conn.Close()
		return nil, errElsewhere
	}
	f.conns[followed] = struct{}{}
	return followed, nil
}

// begin comes before the first connection to a server that may not have what
// the one before had.
func (f *follower) begin(ctx context.Context, addr string) error {
	f.beginning.Lock()
	defer f.beginning.Unlock()
	f.mu.Lock()
	known := f.epochAddr == addr && (len(f.conns) > 0 || time.Since(f.used) > rememberFor)
	if !known {
		f.ended = f.used
	}
	f.mu.Unlock()
	if known {
		return nil
	}
	if f.anew != nil {
		if err := f.anew(ctx, addr); err != nil {
			f.suspect("")
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch, f.epochAddr = f.epoch+1, addr
	return nil
}

// errElsewhere ends an attempt to connect that took longer than the server was
// the one.
var errElsewhere = errors.New("the queues are on another server meanwhile")

// epochNow is the number of the server that the connections lead to.
func (f *follower) epochNow() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch
}

// sinceEnded is how long ago the latest command was sent to the server before.
func (f *follower) sinceEnded() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.ended)
}

// look finds the server, and turns to it. With an error the address is that of
// the one before, if there was one.
func (f *follower) look(ctx context.Context) (string, error) {
	f.mu.Lock()
	addr, before := f.hint, f.addr
	f.hint, f.doubted = "", false
	f.mu.Unlock()
	if addr == "" {
		found, err := f.find(ctx)
		if err != nil {
			f.suspect("")
			return before, err
		}
		addr = found
	}
	f.turnTo(addr)
	return addr, nil
}

// turnTo closes the connections to other servers.
func (f *follower) turnTo(addr string) {
	f.mu.Lock()
	f.addr = addr
	var others []*followedConn
	for conn := range f.conns {
		if conn.addr != addr {
			others = append(others, conn)
		}
	}
	f.mu.Unlock()
	for _, conn := range others {
		_ = conn.end()
	}
}

// suspect takes note that the server may be another one, and who if the hint
// says so.
func (f *follower) suspect(hint string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubted, f.hint = true, hint
	if hint == "" {
		f.doubt()
	}
}

// ensure looks for the server if it is in doubt, and waits a moment for that.
// What goes wrong shows in the command that follows.
func (f *follower) ensure(ctx context.Context) {
	f.mu.Lock()
	connected := len(f.conns) > 0
	doubted, hinted := f.doubted && connected, f.hint != ""
	if connected {
		f.used = time.Now()
	}
	f.mu.Unlock()
	switch {
	case !doubted:
	case hinted:
		// Nobody need be asked.
		_, _ = f.look(ctx)
	default:
		found := f.search.begin(func(ctx context.Context) error {
			_, err := f.look(ctx)
			return err
		})
		// The last connection may have been closed meanwhile.
		f.relax()
		f.await(ctx, found)
	}
}

// await waits a moment for the end of a search.
func (f *follower) await(ctx context.Context, found <-chan struct{}) {
	if found == nil {
		return
	}
	timer := time.NewTimer(searchPatience)
	defer timer.Stop()
	select {
	case <-found:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// relax ends a search when there is no connection that it could be for.
func (f *follower) relax() {
	f.mu.Lock()
	connected := len(f.conns) > 0
	f.mu.Unlock()
	if !connected {
		f.search.close()
	}
}

// DialHook changes nothing.
func (f *follower) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook looks after the server when a command makes it doubtful.
func (f *follower) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		f.ensure(ctx)
		err := next(ctx, cmd)
		if judged := f.judge(err); judged != err { //nolint:errorlint // the same error or another
			cmd.SetErr(judged)
			return judged
		}
		return err
	}
}

// ProcessPipelineHook does what ProcessHook does.
func (f *follower) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		f.ensure(ctx)
		err := f.judge(next(ctx, cmds))
		for _, cmd := range cmds {
			if judged := f.judge(cmd.Err()); judged != nil {
				cmd.SetErr(judged)
			}
		}
		return err
	}
}

// movedError is what a node says of a slot that it does not have, in words of
// ours: it is no refusal of the command, which had no effect, and another node
// may answer.
type movedError string

// Error returns the words.
func (m movedError) Error() string { return string(m) }

// judge returns the error of a command, and takes note of one that a server
// makes that is not the one with the queues' keys, or is so no more.
func (f *follower) judge(err error) error {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, redis.ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	reply, isReply := errors.AsType[redis.Error](err)
	if !isReply {
		f.suspect("")
		return err
	}
	word, rest, _ := strings.Cut(complaintOf(reply), " ")
	switch word {
	case "MOVED":
		_, to, _ := strings.Cut(rest, " ")
		f.suspect(f.hinted(to))
		return movedError("the slot of the queues is on another node: " + domain.CleanText(to, domain.MaxReason))
	case "ASK":
		// The slot is on its way, and its keys are in two places: scripts wait
		// until it has arrived.
		return movedError("the slot of the queues is moving to another node")
	case "READONLY", "CLUSTERDOWN", "MASTERDOWN", "LOADING":
		f.suspect("")
	}
	return err
}

// hinted returns the address in a redirection, with the host left out if it is
// that of the node.
func (f *follower) hinted(to string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isHostPort(reachable(to, f.addr)) {
		return ""
	}
	return reachable(to, f.addr)
}

// followedConn is a connection that its follower knows of until it is closed.
type followedConn struct {
	net.Conn

	follower *follower
	addr     string
	closing  sync.Once
}

// Close closes the connection; again it does nothing.
func (c *followedConn) Close() error {
	err := c.end()
	c.follower.relax()
	return err
}

// end is Close for the search itself.
func (c *followedConn) end() error {
	var err error
	c.closing.Do(func() {
		c.follower.mu.Lock()
		delete(c.follower.conns, c)
		c.follower.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}

// SyscallConn lets the pool see that an idle connection is closed before it is
// used. What is in the stream of TLS is not for the pool to look at.
func (c *followedConn) SyscallConn() (syscall.RawConn, error) {
	c.follower.mu.Lock()
	_, open := c.follower.conns[c]
	c.follower.mu.Unlock()
	if !open {
		return nil, net.ErrClosed
	}
	if plain, ok := c.Conn.(syscall.Conn); ok {
		return plain.SyscallConn()
	}
	return sealed{}, nil
}

// sealed is a connection whose stream is not looked at.
type sealed struct{}

// Control does nothing.
func (sealed) Control(func(uintptr)) error { return nil }

// Read does nothing.
func (sealed) Read(func(uintptr) bool) error { return nil }

// Write does nothing.
func (sealed) Write(func(uintptr) bool) error { return nil }
