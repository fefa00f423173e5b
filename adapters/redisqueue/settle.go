package redisqueue

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// settlementFields is how many arguments move.lua takes for one settlement at
// most.
const settlementFields = 6

// The kinds of settlements that move.lua knows. Those of finished jobs are
// followed by their retention.
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
	kindDropped     = "X"
)

// appendSettlement appends the arguments that move.lua takes for the outcome,
// or nothing if this queue does not know its kind. held is what is remembered
// of the job, nil if the lease is unknown here.
func (c *consumer) appendSettlement(texts []string, s *domain.Settlement, held *leased) []string {
	if held == nil {
		held = unknownLease
	}
	head := func(kind string) []string {
		return append(texts, kind, string(s.Lease.ID), string(s.Lease.Token))
	}
	if held.foreign && s.Outcome.Kind != domain.Returned {
		return head(kindDropped)
	}
	switch outcome := &s.Outcome; outcome.Kind {
	case domain.Completed:
		return append(head(kindCompleted+c.keepCompleted(held)), resultText(outcome.Result))
	case domain.Failed:
		return c.appendFailure(head, outcome, held)
	case domain.Retry:
		return appendRetry(head, outcome, held)
	case domain.Snoozed:
		return append(head(kindSnoozed), delayText(outcome.After))
	case domain.Parked:
		return append(head(kindParked), held.name, delayText(outcome.After))
	case domain.Returned:
		return head(kindReturned)
	case domain.RateLimited:
		return append(head(kindRateLimited), delayText(max(outcome.After, time.Millisecond)))
	case domain.WaitingForChildren:
		return head(kindChildren)
	}
	return texts
}

// unknownLease stands for what is remembered of a lease that is lost.
var unknownLease = &leased{options: &wireOptions{completed: keepAll, failed: keepAll, stackLimit: -1}} //nolint:gochecknoglobals // a constant

func (c *consumer) appendFailure(head func(string) []string, outcome *domain.Outcome, held *leased) []string {
	return append(head(kindFailed+c.keepFailed(held)), reasonText(outcome.Reason), strconv.Itoa(held.options.Attempts), held.stackTraces(outcome))
}

func appendRetry(head func(string) []string, outcome *domain.Outcome, held *leased) []string {
	reason, stacks := reasonText(outcome.Reason), held.stackTraces(outcome)
	if outcome.After >= time.Millisecond {
		return append(head(kindRetryLater), reason, delayText(outcome.After), stacks)
	}
	end := ""
	if held.options.LIFO {
		end = "l"
	}
	return append(head(kindRetryNow), reason, end, stacks)
}

// childrenOutcome returns what becomes of a job whose outcome its children
// refused, as Node words it (protocol 3.4).
func (c *consumer) childrenOutcome(s *domain.Settlement, code int) (domain.Outcome, bool) {
	switch code {
	case codePending:
		reason := fmt.Sprintf("Job %s has pending dependencies. moveToFinished", s.Lease.ID)
		held := c.heldLease(s.Lease)
		if held == nil || held.attemptsLeft <= 0 || !held.options.Backoff.Retries() {
			return domain.Outcome{Kind: domain.Failed, Reason: reason}, true
		}
		return domain.Outcome{Kind: domain.Retry, Reason: reason, After: held.options.Backoff.After(held.attempt, 1)}, true
	case codeFailedChildren:
		wanted := "moveToFinished"
		if s.Outcome.Kind == domain.WaitingForChildren {
			wanted = "moveToWaitingChildren"
		}
		reason := fmt.Sprintf("Cannot complete job %s because it has at least one failed child. %s", s.Lease.ID, wanted)
		return domain.Outcome{Kind: domain.Failed, Reason: reason}, true
	}
	return domain.Outcome{}, false
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
	size := len(stacks[len(stacks)-1]) // the newest stays
	for i := len(stacks) - 2; i >= 0; i-- {
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
