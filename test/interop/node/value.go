package node

import (
	"encoding/json"
	"testing"
)

// Value is a value of JavaScript as JSON; undefined is null.
type Value = json.RawMessage

// Opts are options of BullMQ.
type Opts = map[string]any

// Undefined is JavaScript's undefined as an argument.
func Undefined() any { return Opts{"$undefined": true} }

// Ref is an object of the agent as an argument.
func Ref(name string) any { return Opts{"$ref": name} }

// Failure is an error as an argument, of a class of BullMQ or of Error.
func Failure(class, message string) any {
	return Opts{"$error": Opts{"name": class, "message": message}}
}

// Delays is a function as an argument: a back-off strategy that returns these
// milliseconds, one after the other, then the last again and again.
func Delays(ms ...int) any { return Opts{"$delays": ms} }

// Job is what a Node program sees of a job.
type Job struct {
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Data            Value          `json:"data"`
	Opts            map[string]any `json:"opts"`
	Progress        Value          `json:"progress"`
	ReturnValue     Value          `json:"returnvalue"`
	FailedReason    *string        `json:"failedReason"`
	Stacktrace      []string       `json:"stacktrace"`
	AttemptsMade    int            `json:"attemptsMade"`
	AttemptsStarted int            `json:"attemptsStarted"`
	StalledCounter  int            `json:"stalledCounter"`
	Delay           float64        `json:"delay"`
	Priority        int            `json:"priority"`
	Timestamp       int64          `json:"timestamp"`
	ProcessedOn     int64          `json:"processedOn"`
	FinishedOn      int64          `json:"finishedOn"`
	ProcessedBy     string         `json:"processedBy"`
	ParentKey       string         `json:"parentKey"`
	RepeatJobKey    string         `json:"repeatJobKey"`
	DeduplicationID string         `json:"deduplicationId"`
	DeferredFailure string         `json:"deferredFailure"`
	Token           string         `json:"token"`
}

// Decode returns the value as a T.
func Decode[T any](tb testing.TB, value Value) T {
	tb.Helper()
	var decoded T
	if err := json.Unmarshal(value, &decoded); err != nil {
		tb.Fatalf("a value of node: %v: %s", err, value)
	}
	return decoded
}

// Encode returns the value as JSON, the members of objects in order.
func Encode(tb testing.TB, value any) string {
	tb.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		tb.Fatalf("a value for node: %v", err)
	}
	return string(encoded)
}
