package redisqueue

import (
	"encoding/json"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// JobView is a job with everything that BullMQ keeps of it, its log and what
// it knows of its children excepted: see [Queue.Log].
type JobView struct {
	// JobView is the job as other queues show it, without its log.
	domain.JobView

	// Options are the options as the producer gave them, in BullMQ's JSON with
	// its short names (protocol 1.7). Those of the job itself are what Takt
	// acts on.
	Options []byte
	// Delay is the job's delay now; options keep the one it came with.
	Delay time.Duration
	// Worker is the name of the worker that began the latest attempt; empty if
	// it has none.
	Worker string
	// Stacks has a text for each failed attempt, the oldest first, as many as
	// the job keeps.
	Stacks []string
	// ParentKey is the full key of the parent job, "bull:mail:17"; empty if
	// there is none. Parent is what the job says of it, as JSON, with what its
	// own failure does to the parent.
	ParentKey string
	Parent    []byte
	// Deduplication is the id by which others are held to be its duplicates.
	Deduplication string
	// Scheduler is the job scheduler that has made the job; empty if none has.
	Scheduler string
	// DeferredReason is what the job will fail with once a worker takes it.
	DeferredReason string
}

// bullView completes a view with what only BullMQ has.
func bullView(view *domain.JobView, fields *[viewFields]string) JobView {
	full := JobView{
		JobView: *view,
		Options: bytesOf(fields[viewOptions]), Delay: durationOf(fields[viewDelay]), Worker: fields[viewWorker],
		Stacks: stacksOf(fields[viewStacks]), ParentKey: fields[viewParentKey], Parent: bytesOf(fields[viewParent]),
		Deduplication: fields[viewDedup], Scheduler: fields[viewScheduler],
		DeferredReason: domain.CleanText(fields[viewDeferred], domain.MaxReason),
	}
	full.Log = nil
	return full
}

func bytesOf(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

// stacksOf reads a list of stack traces; what is none has none.
func stacksOf(text string) []string {
	var stacks []string
	if json.Unmarshal([]byte(text), &stacks) != nil {
		return nil
	}
	for i := range stacks {
		stacks[i] = domain.CleanText(stacks[i], domain.MaxStack)
	}
	return stacks
}
