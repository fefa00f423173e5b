package redisqueue

import (
	"context"

	"github.com/taktwork/takt/core/domain"
)

// continueSchedule adds the job that follows the leased one of a job
// scheduler, without which the schedule would end (protocol 2.18).
func (c *consumer) continueSchedule(context.Context, *domain.Lease) {}
