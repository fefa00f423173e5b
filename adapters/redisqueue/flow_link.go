package redisqueue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var (
	// ErrNoParent says that the parent a job was to have is not there. It is
	// [ports.ErrNotFound], too.
	ErrNoParent = fmt.Errorf("the parent: %w", ports.ErrNotFound)
	// ErrOtherParent says that a job of this id is there already and that a job
	// waits for it that is not the one it was to have as parent.
	ErrOtherParent = errors.New("the job is a child of another parent")
	// ErrNoJob says that something that is no job has the name of the job's key.
	ErrNoJob = errors.New("its key holds something that is no job")
)

// JobRef names a job of a queue.
type JobRef struct {
	Queue domain.QueueName
	ID    domain.JobID
	// Prefix is that of the queue's keys where it is not the backend's: others
	// may have made a flow of queues with several prefixes. Only what is read
	// has one.
	Prefix string
}

// Validate reports what is wrong with the name of a job, or nil.
func (r JobRef) Validate() error {
	if err := r.Queue.Validate(); err != nil {
		return err
	}
	switch {
	case r.ID == "" || isReserved(r.ID) || strings.ContainsAny(string(r.ID), ":{}\x00"):
		return domain.Invalidf("job id %s of queue %s is none", domain.Quote(string(r.ID)), r.Queue)
	case r.Prefix != "":
		return domain.Invalidf("job %s of queue %s is below another prefix, %s", domain.Quote(string(r.ID)), r.Queue, domain.Quote(r.Prefix))
	}
	return nil
}

// String returns the queue and the id, "mail:7".
func (r JobRef) String() string { return string(r.Queue) + ":" + string(r.ID) }

// refOf reads the full key of a job; what is no such key is all id.
func (k keys) refOf(key string) JobRef {
	rest, id := cutLast(key)
	prefix, queue := cutLast(rest)
	if prefix == "" {
		return JobRef{ID: domain.JobID(key)}
	}
	if prefix == k.prefix {
		prefix = ""
	}
	return JobRef{Queue: domain.QueueName(queue), ID: domain.JobID(id), Prefix: prefix}
}

// cutLast cuts the text at its last colon.
func cutLast(text string) (before, after string) {
	cut := strings.LastIndexByte(text, ':')
	if cut < 0 {
		return "", text
	}
	return text[:cut], text[cut+1:]
}

// parentLink is a job's parent as it is written with the job.
type parentLink struct {
	// base and id are the parts of the parent's key.
	base, id string
	// option is the parent as an option, field as the job's field.
	option, field string
}

// linkTo returns how a job with the policy is linked to the parent.
func (k keys) linkTo(parent JobRef, policy OnFailure) *parentLink {
	base := k.queue(parent.Queue)
	id, queue := quoteJSON(string(parent.ID)), quoteJSON(strings.TrimSuffix(base, ":"))
	link := &parentLink{base: base, id: string(parent.ID)}
	link.option = fmt.Sprintf(`{"id":%s,"queue":%s}`, id, queue)
	flag := ""
	if name := policy.short(); name != "" {
		flag = `,"` + name + `":true`
	}
	link.field = fmt.Sprintf(`{"id":%s,"queueKey":%s%s}`, id, queue, flag)
	return link
}
