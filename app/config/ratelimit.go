package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RateLimit lets Jobs jobs of a queue start in each span Per.
type RateLimit struct {
	Jobs int
	Per  time.Duration
}

// RateLimits are rate limits by queue.
type RateLimits map[string]RateLimit

// EnvDecode implements the Decoder of go-envconfig for canonical texts.
func (l *RateLimits) EnvDecode(text string) error {
	if text == "" {
		return nil
	}
	limits, err := parseRateLimits(text)
	*l = limits
	return err
}

const (
	mostLimited    = 1_000_000
	shortestWindow = time.Millisecond
	longestWindow  = day
)

// queueNames is what names of queues look like.
const queueNames = `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`

// rateLimits accepts queue=jobs/span, separated by commas, each queue once.
func rateLimits() rule {
	return rule{
		expected: "queue=jobs/span, separated by commas, with spans from " + durationText(shortestWindow) + " to " + durationText(longestWindow),
		canonical: func(value string) (string, error) {
			limits, err := parseRateLimits(value)
			if err != nil {
				return "", err
			}
			texts := make([]string, 0, len(limits))
			for _, queue := range slices.Sorted(maps.Keys(limits)) {
				texts = append(texts, fmt.Sprintf("%s=%d/%s", queue, limits[queue].Jobs, durationText(limits[queue].Per)))
			}
			return strings.Join(texts, ","), nil
		},
	}
}

func parseRateLimits(text string) (RateLimits, error) {
	limits := RateLimits{}
	for i, item := range strings.Split(text, ",") {
		queue, limit, err := parseRateLimit(strings.TrimSpace(item))
		if err == nil {
			if _, twice := limits[queue]; twice {
				err = errors.New("the queue is named twice")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("limit %d: %w", i+1, err)
		}
		limits[queue] = limit
	}
	return limits, nil
}

func parseRateLimit(item string) (queue string, limit RateLimit, err error) {
	queue, rate, ok := strings.Cut(item, "=")
	jobs, span, both := strings.Cut(rate, "/")
	if !ok || !both {
		return "", limit, errors.New("not queue=jobs/span")
	}
	if !matches(queueNames, queue) {
		return "", limit, errors.New("not a queue name before the equals sign")
	}
	number, err := wholeNumber(jobs)
	if err == nil {
		err = within(number, 1, mostLimited)
	}
	if err != nil {
		return "", limit, fmt.Errorf("number of jobs: %w", err)
	}
	limit.Jobs, _ = strconv.Atoi(decimal(number))
	if limit.Per, err = parseDuration(span); err == nil {
		err = within(limit.Per, shortestWindow, longestWindow)
	}
	if err != nil {
		return "", limit, fmt.Errorf("span: %w", err)
	}
	return queue, limit, nil
}
