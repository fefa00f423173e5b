package redisqueue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

const (
	// defaultPage is how many jobs a filter without a limit selects.
	defaultPage = 100
	// idPage is how many ids are read at a time, viewPage how many jobs.
	idPage   = 1000
	viewPage = 100
)

// Jobs implements [ports.Inspector]. Jobs that are damaged are shown as far as
// they can be read, an id in a list that has no job with the id alone. Data and
// results larger than the backend's payload limit are left out. A job that is
// in none of its queue's lists has no state.
func (b *Backend) Jobs(ctx context.Context, queue domain.QueueName, filter domain.JobFilter) ([]domain.JobView, error) {
	if err := checkFilter(queue, &filter); err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var views []domain.JobView
	r := jobReader{backend: b, queue: queue, logLines: maxLog, take: func(view *domain.JobView, _ *[viewFields]string) {
		views = append(views, *view)
	}}
	if filter.ID != "" {
		if err := r.read(ctx, "", []string{string(filter.ID)}); err != nil {
			return nil, fmt.Errorf("list jobs of queue %s: %w", queue, ended(ctx, err))
		}
		return views, nil
	}
	l, end := b.listing(queue), filter.Offset+filter.Limit
	page := idPageOf(filter.State)
	for from := filter.Offset; from < end; from += page {
		n := min(page, end-from)
		ids, err := l.ids(ctx, filter.State, from, n)
		if err == nil {
			err = r.read(ctx, filter.State, withoutMarkers(ids))
		}
		if err != nil {
			return nil, fmt.Errorf("list jobs of queue %s: %w", queue, ended(ctx, err))
		}
		if len(ids) < n {
			break
		}
	}
	return views, nil
}

// withoutMarkers returns the ids that stand for jobs.
func withoutMarkers(ids []string) []string {
	isMarker := func(id string) bool { return strings.HasPrefix(id, legacyMarker) }
	if !slices.ContainsFunc(ids, isMarker) {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), isMarker)
}

// maxOffset bounds what is counted through.
const maxOffset = 1 << 31

func checkFilter(queue domain.QueueName, filter *domain.JobFilter) error {
	if err := queue.Validate(); err != nil {
		return err
	}
	switch {
	case filter.ID == "" && !isState(filter.State):
		return domain.Invalidf("state %s is unknown", domain.Quote(string(filter.State)))
	case filter.Offset < 0 || filter.Limit < 0:
		return domain.Invalidf("offset %d or limit %d is negative", filter.Offset, filter.Limit)
	case filter.Limit == 0:
		filter.Limit = defaultPage
	}
	filter.Offset, filter.Limit = min(filter.Offset, maxOffset), min(filter.Limit, maxOffset)
	return nil
}

// jobReader reads jobs by their ids.
type jobReader struct {
	backend *Backend
	queue   domain.QueueName
	// logLines is how many lines of their logs are of interest.
	logLines int
	// take is given each job, and its fields as they are.
	take    func(*domain.JobView, *[viewFields]string)
	names   map[string]int
	options optionsCache
}

// read reads the jobs, which their listing found in the state; the empty
// state means that it is not known. Jobs that are gone are left out.
func (r *jobReader) read(ctx context.Context, state domain.State, ids []string) error {
	base := r.backend.keys.queue(r.queue)
	keys := []string{base + "meta", r.backend.keys.parked(r.queue)}
	if state == domain.StateParked {
		state = domain.StateDelayed
	}
	if r.names == nil {
		r.names = fieldNames()
	}
	for len(ids) > 0 {
		n := min(len(ids), viewPage)
		args := make([]any, 0, 4+n)
		args = append(args, base, r.backend.config.MaxPayload, string(state), r.logLines)
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		reply, err := r.backend.call(ctx, scriptNamed("inspect_jobs"), keys, args)
		if err != nil {
			return err
		}
		read, err := r.readReply(reply, ids[:n])
		if err != nil {
			return err
		}
		ids = ids[read:]
	}
	return nil
}

// readReply reads a reply and returns how many of the ids it is about.
func (r *jobReader) readReply(reply any, ids []string) (int, error) {
	parts, _ := reply.([]any)
	if len(parts) == 0 || len(parts) > len(ids) {
		return 0, errReply
	}
	for i, part := range parts {
		packed, _ := part.(string)
		if packed == "" {
			continue
		}
		if err := r.view(packed, ids[i]); err != nil {
			return 0, err
		}
	}
	return len(parts), nil
}
