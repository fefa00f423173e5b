package redisqueue

import (
	"context"
	"sync"
	"time"
)

// search looks for the server while calls go on: those who know where it is may
// be away, and the server that is in doubt well. One search is under way at a
// time, and none when there is no connection: whoever opens one looks first.
type search struct {
	mu sync.Mutex
	// stop ends the search under way, found is closed when it is over. Both are
	// nil when there is none.
	stop  context.CancelFunc
	found chan struct{}
	// vain is how many searches in a row have found nothing, next when there may
	// be another one.
	vain int
	next time.Time
}

const (
	// searchPatience is how long a call waits for a search: those who know where
	// the server is mostly say so at once, and a server that is the one no more
	// takes writes for a while that will be lost.
	searchPatience = 100 * time.Millisecond
	// Waits between searches that find nothing.
	searchAgain = time.Second
	searchMost  = 5 * time.Second
)

// begin has look called, unless that is under way or was in vain a moment ago.
// It returns what is closed when the search is over, nil if nobody should wait
// for it.
func (s *search) begin(look func(context.Context) error) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		if time.Now().Before(s.next) {
			return nil
		}
		ctx, stop := context.WithCancel(context.Background())
		s.stop, s.found = stop, make(chan struct{})
		go func() {
			err := look(ctx)
			stop()
			s.end(err)
		}()
	}
	if s.vain > 0 {
		return nil
	}
	return s.found
}

// end takes note of how a search ended.
func (s *search) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.found)
	s.stop, s.found = nil, nil
	if err == nil {
		s.vain, s.next = 0, time.Time{}
		return
	}
	s.next = time.Now().Add(min(searchAgain<<min(s.vain, 3), searchMost))
	s.vain++
}

// close ends the search under way and waits for that.
func (s *search) close() {
	s.mu.Lock()
	stop, found := s.stop, s.found
	s.mu.Unlock()
	if found != nil {
		stop()
		<-found
	}
}
