package storage

import (
	"context"
	"time"
)

// pace says when a relay looks for rows.
type pace struct {
	relay *Relay
	// lookAt is the time of the next look, busyUntil the end of the time in which
	// looks follow one another closely.
	lookAt, busyUntil time.Time
	pause             time.Duration
	trouble           trouble
}

func (p *pace) isDue(now time.Time) bool { return !now.Before(p.lookAt) }

// busy makes looks follow closely for a while.
func (p *pace) busy(now time.Time) {
	p.busyUntil = now.Add(busyFor)
	if soon := now.Add(p.interval(now)); p.pause == 0 && p.lookAt.After(soon) {
		p.lookAt = soon
	}
}

// looked takes the result of a look.
func (p *pace) looked(found bool, err error) {
	now := time.Now()
	p.trouble.note(context.Background(), p.relay.config.Log, nil, err)
	if err != nil {
		p.pause = min(max(2*p.pause, firstPause), lastPause)
		p.lookAt = now.Add(p.pause)
		return
	}
	p.pause = 0
	if found {
		p.busyUntil = now.Add(busyFor)
	}
	p.lookAt = now.Add(p.interval(now))
}

func (p *pace) interval(now time.Time) time.Duration {
	switch {
	case p.relay.listener != nil && p.relay.listener.isHeard(now):
		return heardPoll
	case now.Before(p.busyUntil):
		return busyPoll
	}
	return idlePoll
}

// wait returns how long the relay has nothing to do by itself.
func (p *pace) wait(now time.Time) time.Duration {
	next := p.lookAt
	if due, ok := p.relay.nextDue(); ok && due.Before(next) {
		next = due
	}
	return max(next.Sub(now), 0)
}
