package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

type letter struct {
	To    string
	Count int
	At    time.Time
}

func deepest(data []byte) int {
	depth, most := 0, 0
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		most = max(most, depth)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"To":"a","Count":1}`, `{"Count":"x"}`, `{"Count":1e999}`, `{"At":"never"}`, `[`, `"\"[[["`, "\xff", `{"a":"\\"}`,
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat(`{"a":`, 100_000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want letter
		err := runner.Decode(data, &got)
		if json.Valid(data) && runner.TooDeep(data) != (deepest(data) > runner.MaxDepth) {
			t.Fatalf("TooDeep(%q) = %t, its depth is %d", data, runner.TooDeep(data), deepest(data))
		}
		if runner.TooDeep(data) {
			if err == nil {
				t.Errorf("Decode(%q) = none, want an error: it is too deep", data)
			}
			return
		}
		if wantErr := json.Unmarshal(data, &want); (err == nil) != (wantErr == nil || len(data) == 0) {
			t.Errorf("Decode(%q) = %v, encoding/json says %v", data, err, wantErr)
		}
		if err == nil && !got.At.Equal(want.At) || got.To != want.To || got.Count != want.Count {
			t.Errorf("Decode(%q) made %v, encoding/json %v", data, got, want)
		}
	})
}

func TestDecodeErrorsDoNotRepeatThePayload(t *testing.T) {
	t.Parallel()
	const canary = "hunter2"
	for _, payload := range []string{
		`{"To":"hunter2"`, `hunter2`, `"hunter2"`, `{"Count":"hunter2"}`, `{"At":"hunter2"}`, `{"To":{"hunter2":1}}`, `["hunter2"]`,
		`{"To":"hunter2","Count":1.5}`, strings.Repeat(`["hunter2",`, 100),
	} {
		handler := runner.Handle(func(context.Context, runner.Job[letter]) (any, error) {
			t.Error("the handler is called with a payload that does not decode")
			return nil, nil
		})
		_, err := handler.Handle(t.Context(), &domain.Job{Data: []byte(payload)})
		if _, permanent := errors.AsType[*domain.PermanentError](err); !permanent || strings.Contains(err.Error(), canary) {
			t.Errorf("Handle(%s) = %v, want a permanent error without the payload", payload, err)
		}
		if !strings.HasPrefix(err.Error(), "decode payload into runner_test.letter: ") {
			t.Errorf("Handle(%s) = %v, want it to name the type", payload, err)
		}
	}
}

func TestHandleTakesAMissingPayloadForTheZeroValue(t *testing.T) {
	t.Parallel()
	handler := runner.Handle(func(_ context.Context, job runner.Job[letter]) (any, error) {
		return job.Data.Count, nil
	})
	for _, payload := range []string{"", "null", "{}"} {
		result, err := handler.Handle(t.Context(), &domain.Job{Data: []byte(payload)})
		if string(result) != "0" || err != nil {
			t.Errorf("Handle(%q) = %s, %v, want 0", payload, result, err)
		}
	}
}

type hostile struct{}

func (hostile) MarshalJSON() ([]byte, error) { panic("no") }

func TestResultsThatDoNotEncode(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]any{"function": func() {}, "panic": hostile{}, "channel": make(chan int)} {
		queued := runner.Handle(func(context.Context, runner.Job[letter]) (any, error) { return result, nil })
		if _, err := queued.Handle(t.Context(), &domain.Job{}); err == nil || !strings.HasPrefix(err.Error(), "encode result of type ") {
			t.Errorf("%s: Handle() = %v, want an error that names the type", name, err)
		}
		scheduled := runner.HandleRun(func(context.Context, runner.Run) (any, error) { return result, nil })
		_, err := scheduled.HandleRun(t.Context(), domain.RunKey{}, 1)
		if _, permanent := errors.AsType[*domain.PermanentError](err); !permanent {
			t.Errorf("%s: HandleRun() = %v, want a permanent error", name, err)
		}
	}
}

func TestHandleRunMarshalsThePayload(t *testing.T) {
	t.Parallel()
	handler := runner.HandleRun(func(_ context.Context, run runner.Run) (any, error) {
		if run.Attempt > 1 {
			return nil, errBoom
		}
		return map[string]string{"job": run.Key.Job}, nil
	})
	if payload, err := handler.HandleRun(t.Context(), domain.RunKey{Job: "report"}, 1); string(payload) != `{"job":"report"}` || err != nil {
		t.Errorf("HandleRun() = %s, %v, want the payload", payload, err)
	}
	if payload, err := handler.HandleRun(t.Context(), domain.RunKey{}, 2); payload != nil || !errors.Is(err, errBoom) {
		t.Errorf("HandleRun() = %s, %v, want the error alone", payload, err)
	}
}

func ExampleHandle() {
	handler := runner.Handle(func(_ context.Context, job runner.Job[struct{ To string }]) (any, error) {
		return map[string]string{"sent": job.Data.To}, nil
	})
	result, err := handler.Handle(context.Background(), &domain.Job{Data: []byte(`{"to":"ada@example.org"}`)})
	fmt.Println(string(result), err)

	_, err = handler.Handle(context.Background(), &domain.Job{Data: []byte(`{"to":42}`)})
	fmt.Println(err)
	// Output:
	// {"sent":"ada@example.org"} <nil>
	// decode payload into struct { To string }: number at byte 8 does not fit string
}

func ExampleHandle_steering() {
	answer := errors.New("mailbox is full")
	handler := runner.Handle(func(_ context.Context, job runner.Job[struct{ Case string }]) (any, error) {
		switch job.Data.Case {
		case "hopeless":
			return nil, domain.Permanent(answer) // no attempt follows
		case "later":
			return nil, domain.RetryAfter(time.Hour, answer) // the next attempt waits an hour
		case "not yet":
			return nil, domain.Snooze(time.Minute) // put off, uncharged
		case "throttled":
			return nil, domain.RateLimit(time.Second) // the whole queue waits
		case "nothing to do":
			return nil, domain.Skip("unsubscribed") // done, without effect
		}
		return nil, answer // retried as the job's options say
	})
	for _, name := range []string{"hopeless", "later", "not yet", "throttled", "nothing to do", "else"} {
		data, _ := json.Marshal(map[string]string{"case": name})
		_, err := handler.Handle(context.Background(), &domain.Job{Data: data})
		fmt.Printf("%s: %v\n", name, err)
	}
	// Output:
	// hopeless: mailbox is full
	// later: mailbox is full (retry after 1h0m0s)
	// not yet: snoozed for 1m0s
	// throttled: rate limited for 1s
	// nothing to do: skipped: unsubscribed
	// else: mailbox is full
}
