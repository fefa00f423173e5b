package redisqueue

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// settlementFields is how many arguments move.lua takes for one settlement.
const settlementFields = 7

// The kinds of settlements that move.lua knows.
const (
	kindCompleted   = "C"
	kindFailed      = "F"
	kindRetryNow    = "R"
	kindRetryLater  = "D"
	kindSnoozed     = "S"
	kindParked      = "P"
	kindReturned    = "B"
	kindRateLimited = "L"
	kindChildren    = "W"
)

// kindUnsupported marks an outcome that this queue does not know.
const kindUnsupported = ""

// settlement is one outcome as move.lua takes it.
type settlement [settlementFields]string

// encode writes the outcome for the script. held is what is remembered of the
// job, nil if the lease is unknown here.
func (c *consumer) encode(s *domain.Settlement, held *leased) settlement {
	if held == nil {
		held = &leased{options: &wireOptions{completed: keepAll, failed: keepAll, stackLimit: -1}}
	}
	out := settlement{"", string(s.Lease.ID), string(s.Lease.Token), "", keepAll, "", ""}
	switch outcome := &s.Outcome; outcome.Kind {
	case domain.Completed:
		out[0], out[3], out[4] = kindCompleted, resultText(outcome.Result), c.keepCompleted(held)
	case domain.Failed:
		c.encodeFailure(&out, outcome, held)
	case domain.Retry:
		c.encodeRetry(&out, outcome, held)
	case domain.Snoozed:
		out[0], out[5] = kindSnoozed, delayText(outcome.After)
	case domain.Parked:
		out[0], out[3], out[5] = kindParked, held.name, delayText(outcome.After)
	case domain.Returned:
		out[0] = kindReturned
	case domain.RateLimited:
		out[0], out[5] = kindRateLimited, delayText(max(outcome.After, time.Millisecond))
	case domain.WaitingForChildren:
		out[0] = kindChildren
	default:
		out[0] = kindUnsupported
	}
	return out
}

func (c *consumer) encodeFailure(out *settlement, outcome *domain.Outcome, held *leased) {
	out[0], out[3], out[4] = kindFailed, reasonText(outcome.Reason), c.keepFailed(held)
	out[5], out[6] = strconv.Itoa(held.options.Attempts), held.stackTraces(outcome)
}

// encodeRetry writes the retry, or the failure that BullMQ makes of a retry
// whose delay nobody can tell or that was not wanted.
func (c *consumer) encodeRetry(out *settlement, outcome *domain.Outcome, held *leased) {
	if name := held.options.unknownBackoff; name != "" {
		failed := *outcome
		failed.Reason = domain.CleanText("unknown backoff "+domain.Quote(name)+" after: "+outcome.Reason, domain.MaxReason)
		c.encodeFailure(out, &failed, held)
		return
	}
	if held.options.neverRetry {
		c.encodeFailure(out, outcome, held)
		return
	}
	out[3], out[6] = reasonText(outcome.Reason), held.stackTraces(outcome)
	if outcome.After < time.Millisecond {
		out[0] = kindRetryNow
		if held.options.LIFO {
			out[5] = "l"
		}
		return
	}
	out[0], out[5] = kindRetryLater, delayText(outcome.After)
}

func (c *consumer) keepCompleted(held *leased) string {
	if held.options.keepsCompleted {
		return held.options.completed
	}
	return c.backend.keepCompleted
}

func (c *consumer) keepFailed(held *leased) string {
	if held.options.keepsFailed {
		return held.options.failed
	}
	return c.backend.keepFailed
}

// resultText returns the result as JSON. QueueEvents of Node stop for good
// when it is none.
func resultText(result []byte) string {
	if len(result) == 0 || !json.Valid(result) {
		return "null"
	}
	return string(result)
}

func reasonText(reason string) string { return domain.CleanText(reason, domain.MaxReason) }

func delayText(d time.Duration) string {
	return strconv.FormatInt(max(d, 0).Milliseconds(), 10)
}

// maxStacks bounds the bytes of the stack traces that a job keeps, the newest.
const maxStacks = 3 * (domain.MaxStack + domain.MaxReason)

// stackTraces returns the job's list of stack traces with that of the outcome
// at its end.
func (l *leased) stackTraces(outcome *domain.Outcome) string {
	limit := l.options.stackLimit
	if limit == 0 {
		return "[]"
	}
	var stacks []json.RawMessage
	if l.stacks != "" && json.Unmarshal([]byte(l.stacks), &stacks) != nil {
		stacks = nil
	}
	stacks = append(stacks, quoteJSON(stackText(outcome)))
	if limit > 0 && len(stacks) > limit {
		stacks = stacks[len(stacks)-limit:]
	}
	size := 0
	for i := len(stacks) - 1; i > 0; i-- {
		if size += len(stacks[i]); size > maxStacks {
			stacks = stacks[i+1:]
			break
		}
	}
	var out strings.Builder
	out.WriteByte('[')
	for i, stack := range stacks {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(stack)
	}
	out.WriteByte(']')
	return out.String()
}

// stackText begins as the stacks of Node do.
func stackText(outcome *domain.Outcome) string {
	text := stackHead + outcome.Reason
	if outcome.Stack != "" {
		text += "\n" + outcome.Stack
	}
	return domain.CleanText(text, domain.MaxReason+domain.MaxStack)
}

const stackHead = "Error: "

// quoteJSON returns the text as a JSON string that is not escaped for HTML.
func quoteJSON(text string) []byte {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	return []byte(strings.TrimSuffix(out.String(), "\n"))
}
