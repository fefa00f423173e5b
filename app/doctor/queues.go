package doctor

import (
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// CheckQueues is how the queues of the features are in Redis.
const CheckQueues = "queues"

// Queue is what was found out about a queue.
type Queue struct {
	Name   domain.QueueName
	Counts domain.QueueCounts
	// Err is why there are no counts.
	Err error
}

// Queues judges the queues of the features.
func Queues(queues []Queue) []Finding {
	var found []Finding
	waiting, active, failed := 0, 0, 0
	for i := range queues {
		q := &queues[i]
		found = append(found, q.findings()...)
		waiting += q.Counts.Jobs[domain.StateWait] + q.Counts.Jobs[domain.StatePrioritized]
		active += q.Counts.Jobs[domain.StateActive]
		failed += q.Counts.Jobs[domain.StateFailed]
	}
	return append([]Finding{fine(CheckQueues, "%s: %s, %d active, %d failed", plural(len(queues), "queue"), waits(waiting), active, failed)}, found...)
}

func waits(jobs int) string {
	if jobs == 1 {
		return "1 job waits"
	}
	return fmt.Sprintf("%d jobs wait", jobs)
}

func (q *Queue) findings() (found []Finding) {
	check := "queue " + string(q.Name)
	if q.Err != nil {
		return []Finding{failure(check, words(q.Err),
			`a key of the queue holds something else, or the server refuses: look at it with "redis-cli TYPE KEY", then move it away with RENAME or choose another WORKER_QUEUE_PREFIX`)}
	}
	if q.Counts.Paused {
		found = append(found, warning(check, "is paused: "+waits(q.Counts.Jobs[domain.StateWait]+q.Counts.Jobs[domain.StatePrioritized]),
			fmt.Sprintf(`"worker queues resume %s" when it is to go on`, q.Name)))
	}
	if parked := q.Counts.Jobs[domain.StateParked]; parked > 0 {
		found = append(found, warning(check, plural(parked, "job")+" parked: no worker has a handler of that name",
			fmt.Sprintf(`deploy a worker that has it; "worker queues jobs %s --state parked" shows the names`, q.Name)))
	}
	return found
}
