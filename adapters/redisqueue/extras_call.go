package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of one call of flow_add.lua.
const (
	maxAdded      = 1000
	maxAddedBytes = 1 << 20
	// nodeArgs is how many arguments read_node takes.
	nodeArgs = 6 + jobArgs
)

// Statuses of flow_add.lua beyond those of enqueue.lua.
const (
	addedEnded       = 5
	addedNoParent    = 50
	addedOtherParent = 70
	addedNoJob       = 90
)

// addPlanned adds the jobs, parents before their children. Jobs that do not
// fit into one call are added in several: until the last of its children is
// there, a parent waits for one that is yet to come.
func (b *Backend) addPlanned(ctx context.Context, jobs []plannedJob) ([]Added, error) {
	added := make([]Added, 0, len(jobs))
	err := ctx.Err()
	for err == nil && len(added) < len(jobs) {
		from := len(added)
		some, failed := b.addSlice(ctx, jobs, from, from+fitting(jobs[from:]))
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

// fitting returns how many of the jobs go into one call.
func fitting(jobs []plannedJob) int {
	bytes := 0
	for i := range jobs {
		if bytes += len(jobs[i].job.Data); i > 0 && bytes > maxAddedBytes || i == maxAdded {
			return i
		}
	}
	return len(jobs)
}

// addSlice adds the jobs from one place up to another.
func (b *Backend) addSlice(ctx context.Context, jobs []plannedJob, from, to int) ([]Added, error) {
	slice, coming := jobs[from:to], yetToCome(jobs, to)
	texts := make([]string, 0, 4+len(slice)*nodeArgs+3*len(coming))
	texts = append(texts, "", string(b.config.Profile), strconv.Itoa(len(slice)))
	for i := range slice {
		p := &slice[i]
		p.ended = p.above >= 0 && jobs[p.above].ended
		texts = p.appendTo(texts)
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

// yetToCome returns, for each parent before the place that has children behind
// it, the first of these.
func yetToCome(jobs []plannedJob, place int) []*plannedJob {
	var coming []*plannedJob
	seen := map[int]bool{}
	for i := place; i < len(jobs); i++ {
		above := jobs[i].above
		if above >= 0 && above < place && !seen[above] {
			seen[above] = true
			coming = append(coming, &jobs[i])
		}
	}
	return coming
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
		added[i].ID = cmp.Or(domain.JobID(id), jobs[i].job.Options.ID)
		switch {
		case status >= 1 && status < len(enqueueStatuses):
			added[i].Status = enqueueStatuses[status]
		case status == addedEnded:
			added[i].Status, jobs[i].ended = domain.DuplicateID, true
		default:
			added[i].Err = whyNotAdded(status, &jobs[i])
		}
		if u.err != nil || errors.Is(added[i].Err, errReply) {
			return nil, errReply
		}
	}
	return added, nil
}

// whyNotAdded says why a job was not added.
func whyNotAdded(status int, p *plannedJob) error {
	switch status {
	case addedNoParent:
		return fmt.Errorf("job %s: %s%s: %w", domain.Quote(p.job.Name), p.parent.base, p.parent.id, ErrNoParent)
	case addedOtherParent:
		return fmt.Errorf("job %s: %s: %w", domain.Quote(p.job.Name), p.key(), ErrOtherParent)
	case addedNoJob:
		return fmt.Errorf("job %s: %s: %w", domain.Quote(p.job.Name), p.key(), ErrNoJob)
	}
	return errReply
}
