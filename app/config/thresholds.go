package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Thresholds are spans of time by the type of a token.
type Thresholds map[string]time.Duration

// EnvDecode implements the Decoder of go-envconfig for canonical texts.
func (h *Thresholds) EnvDecode(text string) error {
	if text == "" {
		return nil
	}
	thresholds, err := parseThresholds(text)
	*h = thresholds
	return err
}

const (
	shortestThreshold = time.Minute
	longestThreshold  = 3660 * day
)

// tokenTypes is what types of tokens look like; the platform has room for 50
// characters.
const tokenTypes = `^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$` //nolint:gosec // what names look like is no secret

// thresholds accepts type=span, separated by commas, each type once.
func thresholds() rule {
	return rule{
		expected: "type=duration, separated by commas, with durations from " + durationText(shortestThreshold) + " to " + durationText(longestThreshold),
		canonical: func(value string) (string, error) {
			parsed, err := parseThresholds(value)
			if err != nil {
				return "", err
			}
			texts := make([]string, 0, len(parsed))
			for _, kind := range slices.Sorted(maps.Keys(parsed)) {
				texts = append(texts, kind+"="+durationText(parsed[kind]))
			}
			return strings.Join(texts, ","), nil
		},
	}
}

func parseThresholds(text string) (Thresholds, error) {
	all := Thresholds{}
	for i, item := range strings.Split(text, ",") {
		kind, span, err := parseThreshold(strings.TrimSpace(item))
		if _, twice := all[kind]; err == nil && twice {
			err = errors.New("the type is named twice")
		}
		if err != nil {
			return nil, fmt.Errorf("threshold %d: %w", i+1, err)
		}
		all[kind] = span
	}
	return all, nil
}

func parseThreshold(item string) (kind string, span time.Duration, err error) {
	kind, text, ok := strings.Cut(item, "=")
	if !ok {
		return "", 0, errors.New("not type=duration")
	}
	if !matches(tokenTypes, kind) {
		return "", 0, errors.New("not a type of tokens before the equals sign")
	}
	if span, err = parseDuration(text); err == nil {
		err = within(span, shortestThreshold, longestThreshold)
	}
	if err != nil {
		return "", 0, fmt.Errorf("duration: %w", err)
	}
	return kind, span, nil
}
