package pgtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Loss is what befalls an exchange: what a client asks in one go, and the
// answer.
type Loss int

const (
	// NoLoss lets the exchange pass.
	NoLoss Loss = iota
	// LoseRequest breaks the connection before the server knows.
	LoseRequest
	// LoseAnswer breaks the connection after the server has carried out the
	// request.
	LoseAnswer
	// DelayRequest breaks the client's connection, and lets the server have the
	// request [Delay] later.
	DelayRequest
	// KeepRequest does the same, but lets the server have the request when the
	// proxy is told to let it go.
	KeepRequest
)

// Delay is for how long [DelayRequest] keeps a request.
const Delay = 100 * time.Millisecond

// Proxy passes the connections of clients on to a server.
type Proxy struct {
	// URI is its address, to be used in place of the server's.
	URI domain.Secret

	server string
	befall func() Loss
	group  sync.WaitGroup
	count  atomic.Int64
	letGo  chan struct{}
	letOff sync.Once

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// NewProxy returns a proxy in front of the server of the address. It asks
// befall for the fate of each exchange, from several goroutines at once. It
// ends with the test, and breaks what is open.
func NewProxy(tb testing.TB, uri domain.Secret, befall func() Loss) *Proxy {
	tb.Helper()
	socket := func(dir string) string { return filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", port)) }
	// Not the test's own directory: the path of a socket is short.
	dir, err := os.MkdirTemp("/tmp", "takt-proxy-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("unix", socket(dir)) //nolint:noctx // closed with the test
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{
		URI:    domain.NewSecret(strings.Replace(uri.Reveal(), shared.server.dir, dir, 1)),
		server: socket(shared.server.dir), befall: befall, letGo: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	p.group.Go(func() { p.accept(listener) })
	tb.Cleanup(func() {
		_ = listener.Close()
		p.breakAll()
		p.LetGo()
		p.group.Wait()
		_ = os.RemoveAll(dir)
	})
	return p
}

// LetGo lets the server have the requests that [KeepRequest] kept, and those to
// come at once.
func (p *Proxy) LetGo() { p.letOff.Do(func() { close(p.letGo) }) }

// Connections returns how many clients have connected so far.
func (p *Proxy) Connections() int { return int(p.count.Load()) }

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.count.Add(1)
		server, err := net.Dial("unix", p.server) //nolint:noctx // a local socket
		if err != nil || !p.keep(client, server) {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server, letGo: p.letGo}
		p.group.Go(func() { defer p.drop(client, server); l.passRequests(p.befall) })
		p.group.Go(func() { defer p.drop(client, server); l.passAnswers() })
	}
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.open, c)
	}
}

func (p *Proxy) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
}

// link is one client's connection.
type link struct {
	client, server net.Conn
	letGo          <-chan struct{}

	mu     sync.Mutex
	doomed bool
}

// passRequests passes on what the client asks, whole exchanges at a time.
func (l *link) passRequests(befall func() Loss) {
	request, err := readStartup(l.client)
	for ; err == nil; request, err = readUntil(l.client, "SQXc") {
		loss := NoLoss
		if request[0] != 0 && request[0] != 'X' && request[0] != 'p' {
			loss = befall()
		}
		switch loss {
		case LoseRequest:
			return
		case DelayRequest:
			_ = l.client.Close()
			<-time.After(Delay)
		case KeepRequest:
			_ = l.client.Close()
			<-l.letGo
		case LoseAnswer:
			l.mu.Lock()
			l.doomed = true
			l.mu.Unlock()
		case NoLoss:
		}
		if _, err := l.server.Write(request); err != nil {
			return
		}
	}
}

// passAnswers passes on what the server answers, until the answer to an
// exchange that is to lose it.
func (l *link) passAnswers() {
	for {
		answer, err := readUntil(l.server, "ZGR")
		l.mu.Lock()
		doomed := l.doomed
		l.mu.Unlock()
		if doomed {
			return
		}
		_, failed := l.client.Write(answer)
		if err != nil || failed != nil {
			return
		}
	}
}

// readStartup reads the first message of a connection, which has no type.
func readStartup(from io.Reader) ([]byte, error) {
	size := make([]byte, 4)
	if _, err := io.ReadFull(from, size); err != nil {
		return nil, err
	}
	return readRest(from, size, size)
}

// readUntil reads messages up to one of the types.
func readUntil(from io.Reader, types string) (messages []byte, err error) {
	head := make([]byte, 5)
	for {
		if _, err = io.ReadFull(from, head); err != nil {
			return messages, err
		}
		if messages, err = readRest(from, append(messages, head...), head[1:]); err != nil {
			return messages, err
		}
		if strings.IndexByte(types, head[0]) >= 0 {
			return messages, nil
		}
	}
}

// readRest reads the rest of a message, whose size counts itself.
func readRest(from io.Reader, messages, size []byte) ([]byte, error) {
	rest := make([]byte, binary.BigEndian.Uint32(size)-4)
	_, err := io.ReadFull(from, rest)
	return append(messages, rest...), err
}
