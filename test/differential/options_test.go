package differential_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// nodeOptions are the options of a job as Node's producers take them, as far as
// ours have them.
type nodeOptions struct {
	JobID            string       `json:"jobId"`
	Delay            int64        `json:"delay"`
	Priority         int          `json:"priority"`
	LIFO             bool         `json:"lifo"`
	Attempts         int          `json:"attempts"`
	Backoff          *nodeBackoff `json:"backoff"`
	RemoveOnComplete *nodeKeep    `json:"removeOnComplete"`
	RemoveOnFail     *nodeKeep    `json:"removeOnFail"`
	Deduplication    *nodeDedup   `json:"deduplication"`

	Timestamp       *moment `json:"timestamp"`
	KeepLogs        int     `json:"keepLogs"`
	StackTraceLimit *int    `json:"stackTraceLimit"`
	SizeLimit       int     `json:"sizeLimit"`
	Telemetry       struct {
		Metadata    string `json:"metadata"`
		OmitContext bool   `json:"omitContext"`
	} `json:"telemetry"`

	Parent         *nodeParent `json:"parent"`
	FailParent     bool        `json:"failParentOnFailure"`
	ContinueParent bool        `json:"continueParentOnFailure"`
	IgnoreFailure  bool        `json:"ignoreDependencyOnFailure"`
	ForgetChild    bool        `json:"removeDependencyOnFailure"`
}

// moment is a time so many ms from the moment of the step (now).
type moment struct {
	Now int64 `json:"$now"`
}

func (m *moment) time() time.Time {
	if m == nil {
		return time.Time{}
	}
	return time.Now().Add(millis(m.Now))
}

var errOnlyNodes = errors.New("only node has it")

// nodeBackoff is a back-off; a number is one that stays the same.
type nodeBackoff domain.Backoff

func (b *nodeBackoff) UnmarshalJSON(text []byte) error {
	spec := backoffSpec{Type: "fixed"}
	if json.Unmarshal(text, &spec.Delay) == nil && spec.Delay == 0 {
		return errOnlyNodes
	}
	if spec.Delay == 0 {
		if err := strictly(text, &spec); err != nil {
			return err
		}
	}
	*b = nodeBackoff{Kind: domain.BackoffKind(spec.Type), Delay: millis(spec.Delay)}
	return nil
}

// nodeKeep is a retention in a form that ours writes as well.
type nodeKeep domain.Retention

func (k *nodeKeep) UnmarshalJSON(text []byte) error {
	var spec struct {
		Count *int
		Age   *int64
	}
	if string(text) != "true" {
		if err := strictly(text, &spec); err != nil {
			return err
		}
		if spec.Count == nil && spec.Age == nil || spec.Count != nil && *spec.Count <= 0 || spec.Age != nil && *spec.Age <= 0 {
			return errOnlyNodes
		}
	}
	k.Limited = true
	if spec.Count != nil {
		k.Count = *spec.Count
	}
	if spec.Age != nil {
		k.Age = time.Duration(*spec.Age) * time.Second
	}
	return nil
}

// nodeDedup is a deduplication in a mode that ours have.
type nodeDedup domain.Deduplication

func (d *nodeDedup) UnmarshalJSON(text []byte) error {
	var all map[string]any
	var spec struct {
		ID  string
		TTL int64
	}
	if err := errors.Join(json.Unmarshal(text, &all), json.Unmarshal(text, &spec)); err != nil {
		return err
	}
	delete(all, "id")
	delete(all, "ttl")
	for mode, names := range dedupNames() {
		if len(names) == len(all) && !slices.ContainsFunc(names, func(name string) bool { return all[name] != true }) {
			*d = nodeDedup{Key: spec.ID, Mode: mode, TTL: millis(spec.TTL)}
			return domain.Deduplication(*d).Validate()
		}
	}
	return errOnlyNodes
}

// strictly reads JSON without anything that is not known.
func strictly(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

// nodeParent names the parent of a job.
type nodeParent struct {
	ID    string `json:"id"`
	Queue string `json:"queue"`
}

// readOptions reads options, unless they have something that only Node's
// producers know.
func readOptions(text json.RawMessage) (nodeOptions, error) {
	var opts nodeOptions
	if len(text) == 0 {
		return opts, nil
	}
	err := strictly(text, &opts)
	return opts, err
}

func (o *nodeOptions) job() domain.JobOptions {
	options := domain.JobOptions{
		ID: domain.JobID(o.JobID), Delay: millis(o.Delay), Priority: o.Priority, LIFO: o.LIFO, Attempts: o.Attempts,
	}
	if o.Backoff != nil {
		options.Backoff = domain.Backoff(*o.Backoff)
	}
	if o.RemoveOnComplete != nil {
		options.KeepCompleted = domain.Retention(*o.RemoveOnComplete)
	}
	if o.RemoveOnFail != nil {
		options.KeepFailed = domain.Retention(*o.RemoveOnFail)
	}
	if o.Deduplication != nil {
		options.Deduplication = domain.Deduplication(*o.Deduplication)
	}
	return options
}

func (o *nodeOptions) extras() redisqueue.Extras {
	extras := redisqueue.Extras{
		Timestamp: o.Timestamp.time(), KeepLogs: o.KeepLogs, SizeLimit: o.SizeLimit, Telemetry: redisqueue.Telemetry(o.Telemetry),
	}
	if o.StackTraceLimit != nil {
		if extras.StackTraceLimit = *o.StackTraceLimit; extras.StackTraceLimit == 0 {
			extras.StackTraceLimit = -1
		}
	}
	for policy, set := range map[redisqueue.OnFailure]bool{
		redisqueue.FailParent: o.FailParent, redisqueue.ContinueParent: o.ContinueParent,
		redisqueue.IgnoreFailure: o.IgnoreFailure, redisqueue.ForgetChild: o.ForgetChild,
	} {
		if set {
			extras.OnFailure = policy
		}
	}
	return extras
}

func (o *nodeOptions) parent() redisqueue.JobRef {
	if o.Parent == nil {
		return redisqueue.JobRef{}
	}
	queue := strings.TrimPrefix(o.Parent.Queue, "bull:")
	return redisqueue.JobRef{Queue: domain.QueueName(queue), ID: domain.JobID(o.Parent.ID)}
}

// known tells whether the version has what the options ask for, and ours takes
// it: a job with a parent cannot be deduplicated.
func (o *nodeOptions) known(version string) bool {
	if o.Deduplication == nil {
		return true
	}
	return o.Parent == nil && slices.Contains(dedupModes(version), o.Deduplication.Mode)
}

// newJob is a job to add as Node's producers are given it.
type newJob struct {
	Name string          `json:"name"`
	Data json.RawMessage `json:"data"`
	Opts json.RawMessage `json:"opts"`
}

// newJobs returns the jobs that an add or addBulk is about.
func newJobs(s *step) []newJob {
	if s.Method == "addBulk" {
		return argument[[]newJob](s, 0)
	}
	return []newJob{{Name: argument[string](s, 0), Data: raw(s, 1), Opts: raw(s, 2)}}
}

// ours returns the job as Takt takes it.
func (j *newJob) ours() (redisqueue.NewJob, error) {
	opts, err := readOptions(j.Opts)
	if err != nil {
		return redisqueue.NewJob{}, fmt.Errorf("options: %w", err)
	}
	return redisqueue.NewJob{Name: j.Name, Data: j.Data, Options: opts.job(), Extras: opts.extras(), Parent: opts.parent()}, nil
}
