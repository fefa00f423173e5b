package differential_test

import (
	"context"
	"errors"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// setsLimit tells whether the method of a Queue object changes a limit.
func setsLimit(method string) bool {
	switch method {
	case "setGlobalConcurrency", "removeGlobalConcurrency", "setGlobalRateLimit", "removeGlobalRateLimit", "rateLimit",
		"removeRateLimitKey":
		return true
	}
	return false
}

// isOurs tells whether Takt has the method, too.
func isOurs(s *step) bool { return setsLimit(s.Method) || s.Method == "removeDeduplicationKey" }

// operate does what a method of Node's Queue or Job object does, and answers as
// it does.
func (o *ourSide) operate(ctx context.Context, s *step) (any, error) {
	name := domain.QueueName(s.Queue)
	if setsLimit(s.Method) {
		return nil, o.limit(ctx, name, s)
	}
	queue, err := o.backend.Queue(name)
	if err != nil {
		return nil, err
	}
	if s.ID != "" {
		freed, err := queue.FreeDeduplicationOf(ctx, domain.JobID(s.ID))
		if errors.Is(err, ports.ErrNotFound) {
			err = errors.New("no job " + s.ID) // as the driver says it
		}
		return freed, err
	}
	freed, err := queue.FreeDeduplication(ctx, s.Args[0].(string))
	if freed {
		return 1, err
	}
	return 0, err
}

func (o *ourSide) limit(ctx context.Context, queue domain.QueueName, s *step) error {
	switch s.Method {
	case "setGlobalConcurrency":
		return o.backend.LimitConcurrency(ctx, queue, int(s.number(0)))
	case "removeGlobalConcurrency":
		return o.backend.LimitConcurrency(ctx, queue, 0)
	case "setGlobalRateLimit":
		rate := domain.Rate{Max: int(s.number(0)), Per: time.Duration(s.number(1)) * time.Millisecond}
		return o.backend.LimitRate(ctx, queue, rate)
	case "removeGlobalRateLimit":
		return o.backend.LimitRate(ctx, queue, domain.Rate{})
	case "rateLimit":
		return o.backend.Hold(ctx, queue, time.Duration(s.number(0))*time.Millisecond)
	}
	return o.backend.Hold(ctx, queue, 0)
}

// number returns an argument, which was made up or read from a file.
func (s step) number(i int) int64 {
	switch n := s.Args[i].(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}
