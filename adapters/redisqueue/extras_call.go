package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// nodeArgs is how many arguments read_node takes.
const nodeArgs = 6 + jobArgs

// Statuses of flow_add.lua beyond those of enqueue.lua.
const (
	addedEnded       = 5
	addedNoParent    = 50
	addedOtherParent = 70
	addedNoJob       = 90
	addedBrokeOff    = 100
)

// addPlanned adds the jobs, parents before their children. Jobs that do not
// fit into one call are added in several: until the last of its children is
// there, a parent waits for one that is yet to come.
func (b *Backend) addPlanned(ctx context.Context, jobs []plannedJob) ([]Added, error) {
	added := make([]Added, 0, len(jobs))
	family := familyOf(jobs)
	err := ctx.Err()
	for err == nil && len(added) < len(jobs) {
		from := len(added)
		to := from + fitting(jobs[from:])
		passOverEnded(jobs, from, to)
		some, failed := b.addSlice(ctx, jobs[from:to], family.toCome(from, to))
		added, err = append(added, some...), failed
	}
	if err != nil {
		err = ended(ctx, err)
		for i := len(added); i < len(jobs); i++ {
			added = append(added, Added{ID: jobs[i].job.Options.ID, Err: err})
		}
		return added, err
	}
	return added, firstRefusal(added)
}

func firstRefusal(added []Added) error {
	for i := range added {
		if added[i].Err != nil {
			return added[i].Err
		}
	}
	return nil
}

// addSlice adds the jobs in one call. Those to come are waited for meanwhile.
func (b *Backend) addSlice(ctx context.Context, slice []plannedJob, coming []*plannedJob) ([]Added, error) {
	texts := make([]string, 0, 4+len(slice)*nodeArgs+3*len(coming))
	texts = append(texts, "", string(b.config.Profile), strconv.Itoa(len(slice)))
	for i := range slice {
		texts = slice[i].appendTo(texts)
	}
	for _, child := range coming {
		texts = append(texts, child.parent.base, child.parent.id, child.key())
	}
	args := make([]any, len(texts))
	for i := range texts {
		args[i] = &texts[i]
	}
	r := request{script: scriptNamed("flow_add"), keys: []string{"", slice[0].base + "meta"}, args: args}
	reply, err := b.numberedAs(ctx, r, func(reply any) []deed {
		added, _ := readAdded(reply, slice)
		return addedOf(slice, added)
	})
	if err != nil {
		return nil, err
	}
	return readAdded(reply, slice)
}

// addedOf returns the jobs that were added.
func addedOf(jobs []plannedJob, added []Added) []deed {
	var deeds []deed
	for i := range added {
		if added[i].Status == domain.Accepted {
			deeds = gather(deeds, []deed{{kind: lostJob, queue: jobs[i].job.Queue, names: []string{string(added[i].ID)}}})
		}
	}
	return deeds
}

// readAdded reads the reply of flow_add.lua: for each job a status and an id.
func readAdded(reply any, jobs []plannedJob) ([]Added, error) {
	u := unpackerOf(reply)
	if u.list() != 2*len(jobs) {
		return nil, errReply
	}
	added := make([]Added, len(jobs))
	for i := range jobs {
		status := u.number()
		id, _ := u.text()
		if status == addedBrokeOff {
			added[i].ID, added[i].Err = jobs[i].job.Options.ID, fmt.Errorf("job %s: %s", domain.Quote(jobs[i].job.Name), domain.CleanText(id, domain.MaxReason))
			continue
		}
		added[i].ID = cmp.Or(domain.JobID(id), jobs[i].job.Options.ID)
		switch {
		case status >= 1 && status < len(enqueueStatuses):
			added[i].Status = enqueueStatuses[status]
		case status == addedEnded:
			added[i].Status, jobs[i].ended = domain.DuplicateID, true
		default:
			added[i].Err = whyNotAdded(status, &jobs[i], added[i].ID)
		}
		if u.err != nil || errors.Is(added[i].Err, errReply) {
			return nil, errReply
		}
	}
	return added, nil
}

// whyNotAdded says why a job was not added.
func whyNotAdded(status int, p *plannedJob, id domain.JobID) error {
	switch status {
	case addedNoParent:
		return fmt.Errorf("job %s: %s%s: %w", domain.Quote(p.job.Name), p.parent.base, p.parent.id, ErrNoParent)
	case addedOtherParent:
		return fmt.Errorf("job %s: %s: %w", domain.Quote(p.job.Name), p.key(), ErrOtherParent)
	case addedNoJob:
		return fmt.Errorf("job %s: %s%s: %w", domain.Quote(p.job.Name), p.base, id, ErrNoJob)
	}
	return errReply
}
