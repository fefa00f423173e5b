package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
	"github.com/taktwork/takt/core/domain"
)

// scheduledRun is a leased job of a job scheduler.
type scheduledRun struct {
	id   domain.JobID
	held *leased
}

// continuePatience bounds, beside a quarter of a lease, how long leases wait for
// their schedules to be continued.
const continuePatience = 2 * time.Second

// continueSchedules adds the jobs that follow the leased ones of job
// schedulers, without which the schedules would end (protocol 2.18). What cannot
// be added now is added later: the leased jobs are worked all the same.
func (c *consumer) continueSchedules(ctx context.Context, scheduled []*domain.Lease) {
	if len(scheduled) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(c.lease/4, continuePatience))
	defer cancel()
	for _, lease := range scheduled {
		held := c.heldLease(lease.Ref())
		if held == nil || lease.Refused != "" && lease.Job.Name == "" {
			continue
		}
		run := scheduledRun{id: lease.Job.ID, held: held}
		if err := c.addNextRun(ctx, c.backend.call, run); err != nil {
			c.schedules.later(ctx, run, err)
		}
	}
}

// errSchedule says that the leased job does not tell how its schedule goes on.
var errSchedule = errors.New("the job does not say how its schedule goes on")

// addNextRun adds the job that follows the run, by the call.
func (c *consumer) addNextRun(ctx context.Context, call scriptCall, run scheduledRun) error {
	args, err := c.nextRun(run)
	if err != nil {
		return fmt.Errorf("%w: %w", errSchedule, err)
	}
	if args == nil {
		return nil
	}
	_, err = call(ctx, scriptNamed("continue"), []string{c.meta, c.base + "repeat"}, args)
	return err
}

// scriptCall is [Backend.call] or [Backend.run].
type scriptCall func(ctx context.Context, s *script, keys []string, args []any) (any, error)

// nextRun returns the arguments of continue.lua, none if the schedule is over.
func (c *consumer) nextRun(run scheduledRun) ([]any, error) {
	held := run.held
	var options map[string]json.RawMessage
	if err := json.Unmarshal([]byte(held.rawOptions), &options); err != nil {
		return nil, fmt.Errorf("options of the job: %w", errReply)
	}
	var repeat pattern.Repeat
	if err := json.Unmarshal(options["repeat"], &repeat); err != nil {
		return nil, err
	}
	next, more, err := pattern.NextRun(repeat, int64(wholeNumber(options["prevMillis"], 1<<53)), c.backend.config.Now().UnixMilli())
	if err != nil {
		err = fmt.Errorf("scheduler %s of pattern %s: %w", domain.Quote(held.scheduler), domain.Quote(repeat.Pattern), err)
	}
	if err != nil || !more {
		return nil, err
	}
	head, err := nextOptions(options, held.scheduler)
	if err != nil {
		return nil, err
	}
	name, data := held.name, held.data
	if held.large {
		// The script has them from the job.
		name, data = "", ""
	}
	// The script knows the moments of intervals better than the job does.
	moment := ""
	if repeat.Pattern != "" {
		moment = strconv.FormatInt(next, 10)
	}
	return []any{
		c.base, string(c.backend.config.Profile), held.scheduler, string(run.id), moment,
		name, head, data, int(wholeNumber(options["priority"], domain.MaxPriority)),
	}, nil
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
