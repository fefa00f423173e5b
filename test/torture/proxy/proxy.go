package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Kind says what becomes of one exchange of a request and its reply.
type Kind int

// What may become of an exchange.
const (
	// Pass lets request and reply through.
	Pass Kind = iota
	// DropReply lets the server carry the request out, and closes both
	// connections instead of passing the reply on.
	DropReply
	// DropRequest closes both connections instead of passing the request on.
	DropRequest
	// Reset does as DropReply, with a reset instead of an orderly end.
	Reset
	// Hold lets the server carry the request out. Neither its reply nor
	// anything later reaches the client, and the connection stays open.
	Hold
)

// Verdict is what becomes of an exchange.
type Verdict struct {
	Kind Kind
	// Delay is how long a reply that passes is kept back.
	Delay time.Duration
}

// Exchange is a request that a client has sent.
type Exchange struct {
	// Number counts the exchanges of all connections from 1 on.
	Number int
	// Request is its beginning, as it is on the wire. It is the proxy's.
	Request []byte
}

// Rule decides about each exchange. It is called from many goroutines.
type Rule func(Exchange) Verdict

// Proxy passes connections on to a server.
type Proxy struct {
	// Addr is where clients connect to.
	Addr string

	target   string
	listener net.Listener
	loops    sync.WaitGroup

	mu        sync.Mutex
	rule      Rule
	exchanges int
	counts    map[Kind]int
	links     map[*link]bool
	closed    bool
}

// Start returns a proxy to the server at target, which lets everything
// through until a rule is set. It ends with the test.
func Start(tb testing.TB, target string) *Proxy {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{
		Addr: listener.Addr().String(), target: target, listener: listener,
		counts: map[Kind]int{}, links: map[*link]bool{},
	}
	p.loops.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Set makes the rule decide about exchanges from now on; nil lets everything
// through.
func (p *Proxy) Set(rule Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

// Cut closes all connections. New ones are taken as before.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.end()
	}
}

// Count returns how many exchanges had the verdict.
func (p *Proxy) Count(kind Kind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[kind]
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.loops.Go(func() { p.connect(client) })
	}
}

const dialPatience = 2 * time.Second

// connect passes one connection on until it ends.
func (p *Proxy) connect(client net.Conn) {
	dialer := net.Dialer{Timeout: dialPatience}
	server, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{proxy: p, client: client.(*net.TCPConn), server: server.(*net.TCPConn), ended: make(chan struct{})}
	p.mu.Lock()
	if p.closed {
		l.end()
	}
	p.links[l] = true
	p.mu.Unlock()
	l.run()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// judge counts an exchange and decides about it.
func (p *Proxy) judge(request []byte) Verdict {
	p.mu.Lock()
	p.exchanges++
	number, rule := p.exchanges, p.rule
	p.mu.Unlock()
	var verdict Verdict
	if rule != nil {
		verdict = rule(Exchange{Number: number, Request: request})
	}
	p.mu.Lock()
	p.counts[verdict.Kind]++
	p.mu.Unlock()
	return verdict
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.loops.Wait()
}

// Every returns a rule that gives the verdict to each n-th exchange whose
// request the filter selects; a nil filter selects all.
func Every(n int, verdict Verdict, filter func(request []byte) bool) Rule {
	if n < 1 {
		panic(fmt.Sprintf("every %d exchanges", n))
	}
	var mu sync.Mutex
	count := 0
	return func(e Exchange) Verdict {
		if filter != nil && !filter(e.Request) {
			return Verdict{}
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count%n == 0 {
			return verdict
		}
		return Verdict{}
	}
}

// All returns a rule that gives the verdict to every exchange.
func All(verdict Verdict) Rule { return func(Exchange) Verdict { return verdict } }
