package redisqueue

import (
	"context"
	"fmt"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// NewJob is a job to add with all that BullMQ knows of jobs.
type NewJob struct {
	Name string
	// Data is the payload, one JSON value. It must not be changed afterwards.
	Data    []byte
	Options domain.JobOptions
	Extras  Extras
	// Parent, if set, is a job that waits for this one: it must be there, and
	// waits at once if it is waiting for its children, else when its handler
	// asks for it. A job of an id that the parent is done with is not added
	// again. A deduplicated job cannot have a parent.
	Parent JobRef
}

// Added is what became of a job to add.
type Added struct {
	// ID is the id of the new job, of the duplicate or of the owner of the
	// deduplication key; with an error it is the one that was asked for.
	ID domain.JobID
	// Status is zero if the job was not added for the reason Err. A duplicate
	// that was to have a parent is the parent's child now, or was and is done.
	Status domain.EnqueueStatus
	// Err is [ErrNoParent], [ErrOtherParent] or [ErrNoJob], or why the call
	// for this job failed.
	Err error
}

// Add adds the jobs, up to 1000 of them with 1 MiB of data and options in one
// step, and answers each, in order. A job that cannot be added does not keep
// the others: its answer has the reason, and the first such reason is the error
// as well.
//
// Of jobs with one parent that take several steps some may be worked before all
// are there, but not the parent, if it waits for its children. Those without an
// id get random ones then.
//
// When ctx ends in between, the answers say how far it came; those with the
// context's error may have been added or not. Their parents wait for them until
// they are added again under the ids of the answers. Without answers nothing
// was added: the error is [domain.ErrInvalid] or [domain.ErrTooLarge].
func (q *Queue) Add(ctx context.Context, jobs ...NewJob) ([]Added, error) {
	planned := make([]plannedJob, len(jobs))
	for i := range jobs {
		if err := q.plan(&planned[i], &jobs[i]); err != nil {
			return nil, fmt.Errorf("add to queue %s: %w", q.name, err)
		}
	}
	added, err := q.backend.addPlanned(ctx, planned)
	if err != nil {
		return added, fmt.Errorf("add to queue %s: %w", q.name, err)
	}
	return added, nil
}

// plan checks the job and fills in how it is added.
func (q *Queue) plan(p *plannedJob, job *NewJob) error {
	p.job = domain.NewJob{Queue: q.name, Name: job.Name, Data: job.Data, Options: job.Options}
	if err := q.backend.checkExtra(&p.job, &job.Extras); err != nil {
		return err
	}
	if job.Parent != (JobRef{}) {
		if err := job.Parent.Validate(); err != nil {
			return fmt.Errorf("job %s: parent: %w", domain.Quote(job.Name), err)
		}
		p.parent = q.backend.keys.linkTo(job.Parent, job.Extras.OnFailure)
	}
	return p.complete(q.backend, &job.Extras)
}

// checkExtra checks a job and its extras.
func (b *Backend) checkExtra(job *domain.NewJob, extras *Extras) error {
	if err := b.checkJob(job); err != nil {
		return err
	}
	if err := extras.Validate(job.Data); err != nil {
		return fmt.Errorf("job %s: %w", domain.Quote(job.Name), err)
	}
	return nil
}

// plannedJob is a job as flow_add.lua takes it.
type plannedJob struct {
	job domain.NewJob
	// base is what the names of its queue's keys begin with.
	base string
	// opts are the options as they are stored.
	opts string
	// stamp is when the job counts as created, in ms; empty for now.
	stamp string
	// parent is nil for a job without one.
	parent *parentLink
	// waits tells that the job begins by waiting for its children.
	waits bool
	// made tells that the id was made here, so that no other job has it.
	made bool
	// ended tells that its parent is done with it, or with one above it.
	ended bool
	// above is the place of the parent among the planned jobs, -1 if it is
	// none of them.
	above int
}

// complete fills in what follows from the job, its extras and its parent.
func (p *plannedJob) complete(b *Backend, extras *Extras) error {
	if (p.parent != nil || p.waits) && p.job.Options.Deduplication != (domain.Deduplication{}) {
		return domain.Invalidf("job %s: a job of a flow cannot be deduplicated", domain.Quote(p.job.Name))
	}
	p.base, p.above = b.keys.queue(p.job.Queue), -1
	if p.parent != nil && p.parent.base+p.parent.id == p.key() {
		return waitsForItself(p)
	}
	p.opts = encodeWith(&p.job.Options, extras, p.parent)
	if !extras.Timestamp.IsZero() {
		p.stamp = strconv.FormatInt(extras.Timestamp.UnixMilli(), 10)
	}
	return nil
}

func waitsForItself(p *plannedJob) error {
	return domain.Invalidf("job %s: %s would wait for itself", domain.Quote(p.job.Name), p.key())
}

// key is the full key of the job, whose id must be known.
func (p *plannedJob) key() string { return p.base + string(p.job.Options.ID) }

// appendTo appends the arguments of read_node (lua/flow_add-2.lua).
func (p *plannedJob) appendTo(texts []string) []string {
	var parent parentLink
	if p.parent != nil {
		parent = *p.parent
	}
	flags := ""
	if p.waits {
		flags += "p"
	}
	if p.made {
		flags += "m"
	}
	if p.ended {
		flags += "e"
	}
	texts = append(texts, p.base, parent.base, parent.id, parent.field, flags, p.stamp)
	return appendJob(texts, &p.job, &encodedOptions{options: p.job.Options, text: p.opts})
}
