package domain

import (
	"fmt"
	"time"
)

// MaxPriority is the largest priority number, the least urgent: the
// limit of BullMQ since 5.81.
const MaxPriority = 1<<21 - 1

// ReceiptLife is how long a receipt is known. What was enqueued with it may
// not be enqueued again by anyone who began earlier than that.
const ReceiptLife = 24 * time.Hour

// MaxAttempts bounds how often a job may be tried.
const MaxAttempts = 1001

// NewJob is a job to enqueue.
type NewJob struct {
	Queue QueueName
	Name  string
	// Data is the payload, one JSON value. The queue keeps the slice: the
	// caller must not change it afterwards.
	Data    []byte
	Options JobOptions
	// Receipt, if set, is written with the job and refuses every later
	// enqueue with the same receipt for [ReceiptLife], even after the job is
	// gone.
	Receipt string
	// Again tells that a queue whose jobs end with its process had taken the job
	// before. One that is to be kept by its deduplication then is, whether or not
	// the owner of its key is being worked by now. Queues that outlive their
	// processes do not heed it.
	Again bool
}

// JobOptions are the choices of a producer. The zero value is a job that is
// due at once, in order, tried once and kept for ever.
type JobOptions struct {
	// ID is the job's id; empty lets the queue assign one.
	ID JobID
	// Delay is the time until the job is due.
	Delay time.Duration
	// Priority orders jobs, 1 first, up to [MaxPriority]. Zero means none:
	// such jobs come before all that have one.
	Priority int
	// LIFO puts the job in front of the waiting ones.
	LIFO bool
	// Attempts is how often the job is tried in all; zero means once.
	Attempts int
	Backoff  Backoff
	// KeepCompleted and KeepFailed say how long a finished job is kept.
	KeepCompleted Retention
	KeepFailed    Retention
	Deduplication Deduplication
}

// Retention says which finished jobs a queue keeps. The zero value keeps all.
type Retention struct {
	// Limited turns the other fields on.
	Limited bool
	// Count is how many finished jobs stay, the newest; zero removes the job
	// as it finishes unless Age is set.
	Count int
	// Age is how long a finished job stays; zero sets no limit of age.
	Age time.Duration
	// PerFinish is how many jobs past Age go as one job finishes, at most; the
	// others go as further jobs finish. Zero leaves it to the queue: 1,000 in
	// Redis, where more than that never go at once. BullMQ calls it the limit.
	PerFinish int
}

// KeepLast returns a retention of the newest n finished jobs.
func KeepLast(n int) Retention { return Retention{Limited: true, Count: n} }

// KeepNone returns a retention that removes a job as it finishes.
func KeepNone() Retention { return Retention{Limited: true} }

// KeepFor returns a retention by age.
func KeepFor(age time.Duration) Retention { return Retention{Limited: true, Age: age} }

func (r Retention) validate() error {
	switch {
	case r.Count < 0 || r.Age < 0 || r.PerFinish < 0:
		return Invalidf("retention of %d jobs, %s, %d a finish is negative", r.Count, r.Age, r.PerFinish)
	case r.PerFinish > 0 && r.Age == 0:
		return Invalidf("retention removes at most %d jobs a finish, but has no age to remove them by", r.PerFinish)
	}
	return nil
}

// Job is one message on a queue, as a worker gets it.
type Job struct {
	ID    JobID
	Queue QueueName
	Name  string
	// Data is the payload, by contract JSON; a foreign producer may have
	// written anything. It must not be changed.
	Data    []byte
	Options JobOptions
	// CreatedAt is when the job was enqueued, in the store's time.
	CreatedAt time.Time
	// AttemptsMade counts the attempts that failed and were charged.
	AttemptsMade int
	// AttemptsStarted counts all attempts that began, this one included.
	AttemptsStarted int
	// Crashes counts how often the job's lease ran out under a worker.
	Crashes int
	// Parked counts how often the job was handed back because no handler
	// knew its name.
	Parked int
}

// AttemptsLeft returns how many attempts may follow the current one.
func (j *Job) AttemptsLeft() int {
	return max(max(j.Options.Attempts, 1)-j.AttemptsMade-1, 0)
}

// Validate reports what is wrong with the job, or nil. limit is the largest
// payload in bytes.
func (j *NewJob) Validate(limit int) error {
	if err := j.Queue.Validate(); err != nil {
		return err
	}
	if err := ValidateJobName(j.Name); err != nil {
		return err
	}
	if len(j.Data) > limit {
		return fmt.Errorf("job %s: payload is %d bytes long, at most %d are allowed: %w", Quote(j.Name), len(j.Data), limit, ErrTooLarge)
	}
	if err := j.Options.Validate(); err != nil {
		return fmt.Errorf("job %s: %w", Quote(j.Name), err)
	}
	return nil
}

// Validate reports what is wrong with the options, or nil.
func (o *JobOptions) Validate() error {
	if err := o.ID.Validate(); err != nil {
		return err
	}
	switch {
	case o.Delay < 0:
		return Invalidf("delay %s is negative", o.Delay)
	case o.Priority < 0 || o.Priority > MaxPriority:
		return Invalidf("priority %d is out of range; at least 0, at most %d", o.Priority, MaxPriority)
	case o.Attempts < 0 || o.Attempts > MaxAttempts:
		return Invalidf("attempts %d is out of range; at least 0, at most %d", o.Attempts, MaxAttempts)
	}
	if err := o.Deduplication.Validate(); err != nil {
		return err
	}
	for _, r := range [...]Retention{o.KeepCompleted, o.KeepFailed} {
		if err := r.validate(); err != nil {
			return err
		}
	}
	return o.Backoff.Validate()
}
