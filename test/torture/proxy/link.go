package proxy

import (
	"net"
	"sync"
	"time"
)

// link is one connection of a client, passed on to the server.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn

	once  sync.Once
	ended chan struct{}

	mu sync.Mutex
	// answered tells that the reply to the latest request has begun: what the
	// client sends next is a new request.
	answered bool
	begun    bool
	verdict  Verdict
}

const chunk = 64 << 10

// run returns when both directions have ended.
func (l *link) run() {
	var requests sync.WaitGroup
	requests.Go(l.passRequests)
	l.passReplies()
	requests.Wait()
}

// end closes both connections.
func (l *link) end() {
	l.once.Do(func() {
		close(l.ended)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// reset closes the client's connection with a reset.
func (l *link) reset() {
	_ = l.client.SetLinger(0)
	l.end()
}

func (l *link) passRequests() {
	defer l.end()
	buffer := make([]byte, chunk)
	for {
		n, err := l.client.Read(buffer)
		if n > 0 && l.request(buffer[:n]) == DropRequest {
			return
		}
		if n > 0 {
			if _, err := l.server.Write(buffer[:n]); err != nil && !l.holding() {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// request takes note of what the client sends and returns its verdict.
func (l *link) request(bytes []byte) Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun || l.answered {
		held := l.verdict.Kind == Hold
		l.begun, l.answered = true, false
		l.verdict = l.proxy.judge(bytes)
		if held {
			l.verdict.Kind = Hold
		}
	}
	return l.verdict.Kind
}

func (l *link) passReplies() {
	defer l.end()
	buffer := make([]byte, chunk)
	for {
		n, err := l.server.Read(buffer)
		if n > 0 && !l.reply(buffer[:n]) {
			return
		}
		if err != nil && l.holding() {
			<-l.ended // the client is not to notice
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *link) holding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.verdict.Kind == Hold
}

// reply does with a part of a reply what the verdict says, and reports whether
// the connection lasts.
func (l *link) reply(bytes []byte) bool {
	l.mu.Lock()
	l.answered = true
	verdict := l.verdict
	l.mu.Unlock()
	switch verdict.Kind {
	case DropReply, DropRequest:
		return false
	case Reset:
		l.reset()
		return false
	case Hold:
		return true
	case Pass:
	}
	if verdict.Delay > 0 && !l.pause(verdict.Delay) {
		return false
	}
	_, err := l.client.Write(bytes)
	return err == nil
}

// pause waits for d, and reports false when the connection ends meanwhile.
func (l *link) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ended:
		return false
	}
}
