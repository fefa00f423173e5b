package cli

import (
	"errors"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// backoffFlag is a flag such as fixed:5s or exponential:1s.
type backoffFlag domain.Backoff

// String is the flag's text.
func (b *backoffFlag) String() string {
	if b.Kind == "" {
		return ""
	}
	return string(b.Kind) + ":" + b.Delay.String()
}

// Type is what help calls the value.
func (b *backoffFlag) Type() string { return "kind:delay" }

// Set reads the flag.
func (b *backoffFlag) Set(text string) error {
	kind, delay, found := strings.Cut(text, ":")
	span, err := parseDuration(delay)
	read := domain.Backoff{Kind: domain.BackoffKind(kind), Delay: span}
	if err == nil {
		err = read.Validate()
	}
	if !found || kind == "" || err != nil {
		return errors.New("want fixed or exponential, a colon and a delay of at most 24h, such as exponential:1s")
	}
	*b = backoffFlag(read)
	return nil
}
