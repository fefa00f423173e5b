package redisqueue

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// WritePrometheus writes the queue's counts and how many jobs have ended, in
// Prometheus' text format and under the names that Node's
// exportPrometheusMetrics gives them. The labels are added to each line, in
// the order of their names.
func (q *Queue) WritePrometheus(ctx context.Context, w io.Writer, labels map[string]string) error {
	text, err := q.prometheus(ctx, labels)
	if err != nil {
		return fmt.Errorf("export metrics of queue %s: %w", q.name, err)
	}
	_, err = io.WriteString(w, text)
	return err
}

func (q *Queue) prometheus(ctx context.Context, labels map[string]string) (string, error) {
	counts, err := q.Counts(ctx)
	if err != nil {
		return "", err
	}
	meta, err := q.Meta(ctx)
	if err != nil {
		return "", err
	}
	more := prometheusLabels(labels)
	var out strings.Builder
	out.WriteString("# HELP bullmq_job_count Number of jobs in the queue by state\n# TYPE bullmq_job_count gauge\n")
	for _, line := range countLines(counts, meta.Version, q.backend.config.Profile) {
		_, _ = fmt.Fprintf(&out, "bullmq_job_count{queue=%s, state=%q%s} %d\n", prometheusQuote(string(q.name)), line.state, more, line.jobs)
	}
	for _, state := range []domain.State{domain.StateCompleted, domain.StateFailed} {
		metrics, err := q.metricsHead(ctx, q.base+"metrics:"+string(state))
		if err != nil {
			return "", err
		}
		name := "bullmq_job_" + string(state) + "_total"
		_, _ = fmt.Fprintf(&out, "# HELP %s Total number of %s jobs\n# TYPE %s counter\n", name, state, name)
		_, _ = fmt.Fprintf(&out, "%s{queue=%s%s} %d\n", name, prometheusQuote(string(q.name)), more, metrics.Count)
	}
	return out.String(), nil
}

// countLine is one line of the counts.
type countLine struct {
	state string
	jobs  int
}

// countLines returns the counts by the names that Node has for them. BullMQ 6
// has no paused jobs.
func countLines(c Counts, version string, profile Profile) []countLine {
	lines := []countLine{
		{"active", c.Active},
		{"completed", c.Completed},
		{"delayed", c.Delayed},
		{"failed", c.Failed},
		{"prioritized", c.Prioritized},
		{"waiting", c.Wait},
		{"waiting-children", c.WaitingChildren},
	}
	if c.Paused > 0 || !isV6(version, profile) {
		lines = append(lines, countLine{"paused", c.Paused})
	}
	slices.SortFunc(lines, func(a, b countLine) int { return cmp.Compare(a.state, b.state) })
	return lines
}

// isV6 tells whether the queue is one of BullMQ 6: by the profile, and without
// one by the version that its last Node client left, as the scripts see it.
func isV6(version string, profile Profile) bool {
	if profile != ProfileAuto {
		return profile == ProfileV6
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "bullmq:"), ".")
	return count(major) >= 6
}

func prometheusLabels(labels map[string]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out.WriteString(", " + name + "=" + prometheusQuote(labels[name]))
	}
	return out.String()
}

// prometheusQuote quotes the value of a label
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
func prometheusQuote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}
