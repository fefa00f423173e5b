package redisqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
	"github.com/taktwork/takt/core/domain"
)

// continueSchedule adds the job that follows the leased one of a job
// scheduler, without which the schedule would end (protocol 2.18). A schedule
// that cannot be continued is reported, and its job worked all the same.
func (c *consumer) continueSchedule(ctx context.Context, lease *domain.Lease) {
	if lease.Refused != "" && lease.Job.Name == "" {
		return
	}
	err := c.addNextRun(ctx, lease)
	if err != nil && ctx.Err() == nil {
		c.backend.config.Log.ErrorContext(ctx, "schedule not continued: it makes no further jobs",
			"queue", c.queue, "job_id", string(lease.Job.ID), "job", lease.Job.Name, "err", err)
	}
}

func (c *consumer) addNextRun(ctx context.Context, lease *domain.Lease) error {
	held := c.heldLease(lease.Ref())
	if held == nil {
		return nil
	}
	var options map[string]json.RawMessage
	if err := json.Unmarshal([]byte(held.rawOptions), &options); err != nil {
		return fmt.Errorf("options of the job: %w", errReply)
	}
	var repeat pattern.Repeat
	if err := json.Unmarshal(options["repeat"], &repeat); err != nil {
		return err
	}
	next, more, err := pattern.NextRun(repeat, int64(wholeNumber(options["prevMillis"], 1<<53)), c.backend.config.Now().UnixMilli())
	if err != nil || !more {
		return err
	}
	head, err := nextOptions(options, held.scheduler)
	if err != nil {
		return err
	}
	// The script knows the moments of intervals better than the job does.
	moment := ""
	if repeat.Pattern != "" {
		moment = strconv.FormatInt(next, 10)
	}
	_, err = c.backend.call(ctx, scriptNamed("continue"), []string{c.meta, c.base + "repeat"}, []any{
		c.base, string(c.backend.config.Profile), held.scheduler, string(lease.Job.ID), moment,
		lease.Job.Name, head, held.data, int(wholeNumber(options["priority"], domain.MaxPriority)),
	})
	return err
}

// nextOptions returns the options of the scheduler's next job as JSON, but for
// those that the script writes at their end: its count is one more. It changes
// those of the job before, which may have less and in other shapes if that was
// the scheduler's first.
func nextOptions(options map[string]json.RawMessage, scheduler string) (string, error) {
	var repeat map[string]json.RawMessage
	if err := json.Unmarshal(options["repeat"], &repeat); err != nil || repeat == nil {
		return "", fmt.Errorf("repeat option of the job: %w", errReply)
	}
	if options["attempts"] == nil {
		options["attempts"] = json.RawMessage("0")
	}
	if _, bare := number(options["backoff"]); bare {
		options["backoff"] = json.RawMessage(`{"type":"fixed","delay":` + string(options["backoff"]) + `}`)
	}
	options["repeatJobKey"] = quoteJSON(scheduler)
	count, _ := number(repeat["count"])
	repeat["count"] = json.RawMessage(strconv.FormatInt(int64(math.Min(count, 1<<53))+1, 10))
	out := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		switch name {
		case "jobId", "delay", "timestamp", "prevMillis":
			continue
		case "repeat":
			out = append(out, `"repeat":{`...)
			for i, member := range slices.Sorted(maps.Keys(repeat)) {
				if i > 0 {
					out = append(out, ',')
				}
				out = appendMember(out, member, repeat[member])
			}
			out = append(out, '}')
		default:
			out = appendMember(out, name, options[name])
		}
		out = append(out, ',')
	}
	return string(out), nil
}

func appendMember(out []byte, name string, value json.RawMessage) []byte {
	out = append(out, quoteJSON(name)...)
	return append(append(out, ':'), value...)
}
