package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// outboxOptions are [domain.JobOptions] as rows of the outbox hold them.
type outboxOptions struct {
	ID            domain.JobID        `json:"id,omitempty"`
	Delay         time.Duration       `json:"delay_ns,omitempty"`
	Priority      int                 `json:"priority,omitempty"`
	LIFO          bool                `json:"lifo,omitempty"`
	Attempts      int                 `json:"attempts,omitempty"`
	Backoff       outboxBackoff       `json:"backoff,omitzero"`
	KeepCompleted outboxRetention     `json:"keep_completed,omitzero"`
	KeepFailed    outboxRetention     `json:"keep_failed,omitzero"`
	Deduplication outboxDeduplication `json:"deduplication,omitzero"`
}

type outboxBackoff struct {
	Kind   domain.BackoffKind `json:"kind,omitempty"`
	Delay  time.Duration      `json:"delay_ns,omitempty"`
	Jitter float64            `json:"jitter,omitempty"`
}

type outboxRetention struct {
	Limited   bool          `json:"limited,omitempty"`
	Count     int           `json:"count,omitempty"`
	Age       time.Duration `json:"age_ns,omitempty"`
	PerFinish int           `json:"per_finish,omitempty"`
}

type outboxDeduplication struct {
	Key  string                   `json:"key,omitempty"`
	Mode domain.DeduplicationMode `json:"mode,omitempty"`
	TTL  time.Duration            `json:"ttl_ns,omitempty"`
}

func encodeOptions(o *domain.JobOptions) (string, error) {
	text, err := json.Marshal(outboxOptions{
		ID: o.ID, Delay: o.Delay, Priority: o.Priority, LIFO: o.LIFO, Attempts: o.Attempts,
		Backoff: outboxBackoff(o.Backoff), KeepCompleted: outboxRetention(o.KeepCompleted),
		KeepFailed: outboxRetention(o.KeepFailed), Deduplication: outboxDeduplication(o.Deduplication),
	})
	if err != nil {
		return "", domain.Invalidf("options: %w", err)
	}
	return string(text), nil
}

func decodeOptions(text string) (domain.JobOptions, error) {
	var o outboxOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return domain.JobOptions{}, fmt.Errorf("options are not as an outbox writes them: %w", err)
	}
	return domain.JobOptions{
		ID: o.ID, Delay: o.Delay, Priority: o.Priority, LIFO: o.LIFO, Attempts: o.Attempts,
		Backoff: domain.Backoff(o.Backoff), KeepCompleted: domain.Retention(o.KeepCompleted),
		KeepFailed: domain.Retention(o.KeepFailed), Deduplication: domain.Deduplication(o.Deduplication),
	}, nil
}
