package redisqueue

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// maxEventFields bounds the fields of a published event.
const maxEventFields = 1000

// PublishEvent writes an event of one's own into the queue's stream, where
// [Queue.Events] and BullMQ's QueueEvents hand it to whoever listens to its
// name, and returns its id. Values are texts of any kind. The error is
// [domain.ErrInvalid] for a name that is empty or one of BullMQ's own, whose
// readers rely on what such an event holds, for a field named "event" or
// without a name, and for more than 1,000 fields; [domain.ErrTooLarge] for more
// bytes than a job's data may have. The stream is trimmed to about the length
// that the queue keeps, 10,000 unless set otherwise.
func (q *Queue) PublishEvent(ctx context.Context, name string, fields map[string]string) (EventID, error) {
	id, err := q.publishEvent(ctx, name, fields)
	if err != nil {
		return "", fmt.Errorf("publish event to queue %s: %w", q.name, err)
	}
	return id, nil
}

func (q *Queue) publishEvent(ctx context.Context, name string, fields map[string]string) (EventID, error) {
	if err := q.checkEvent(name, fields); err != nil {
		return "", err
	}
	args := []any{nil, q.base, "event", name}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		args = append(args, field, fields[field])
	}
	reply, err := q.backend.numbered(ctx, scriptNamed("events_publish"), []string{"", q.eventsKey()}, args)
	if err != nil {
		return "", ended(ctx, err)
	}
	id, is := reply.(string)
	if !is {
		return "", errReply
	}
	return EventID(id), nil
}

func (q *Queue) checkEvent(name string, fields map[string]string) error {
	size := len(name)
	for field, value := range fields {
		if field == "" || field == "event" {
			return domain.Invalidf("a field named %s", domain.Quote(field))
		}
		size += len(field) + len(value)
	}
	limit := q.backend.config.MaxPayload
	switch {
	case name == "":
		return domain.Invalidf("it has no name")
	case isEventName(name):
		return domain.Invalidf("%s is one of BullMQ's own", domain.Quote(name))
	case len(fields) > maxEventFields:
		return domain.Invalidf("%d fields, at most %d are allowed", len(fields), maxEventFields)
	case size > limit:
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", size, limit, domain.ErrTooLarge)
	}
	return nil
}
