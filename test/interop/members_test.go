package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/interop/node"
)

// What Node's methods say of a queue that Takt filled and worked is what they
// say of one that Node filled and worked: both are made alike, and the answers
// compared.

// answer is what one call of Node returned.
type answer struct{ call, value string }

// What differs from run to run: times, the worker's name, where an error was thrown.
var (
	ofTheRun = regexp.MustCompile(`\b1[6-9]\d{11}\b`)
	workedBy = regexp.MustCompile(`("(?:processedBy|pb)":)"\w+"`)
	thrownAt = regexp.MustCompile(`(Error: [^"\\]*)(\\+n[^"\\]*)*`)
)

func plainAnswer(value string) string {
	value = ofTheRun.ReplaceAllString(value, "0")
	value = workedBy.ReplaceAllString(value, `$1""`)
	return thrownAt.ReplaceAllString(value, "$1")
}

// ask calls a method of an object.
func ask(o *node.Object, method string, args ...any) answer {
	call := fmt.Sprint(append([]any{method}, args...)...)
	return answer{call, plainAnswer(string(o.Call(method, args...)))}
}

// get reads a property.
func get(o *node.Object, path string) answer { return answer{path, plainAnswer(string(o.Get(path)))} }

// wantSameAnswers compares answers call by call.
func wantSameAnswers(t *testing.T, byNode, byTakt []answer) {
	t.Helper()
	if len(byNode) != len(byTakt) || len(byNode) == 0 {
		t.Fatalf("%d answers about node's data, %d about takt's, want as many, and some", len(byNode), len(byTakt))
	}
	for i, want := range byNode {
		if want.call != byTakt[i].call {
			t.Fatalf("answer %d is to %s and to %s", i, want.call, byTakt[i].call)
		}
		if diff := cmp.Diff(indented(want.value), indented(byTakt[i].value)); diff != "" {
			t.Errorf("%s differs (-of node's data +of takt's):\n%s", want.call, diff)
		}
	}
}

// indented writes JSON over lines with sorted members, and other text as it is.
func indented(text string) string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return text
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
	return out.String()
}

// askBoth asks about jobs in every state as each side makes them.
func askBoth(t *testing.T, version string, questions func(l *lab) []answer) {
	t.Helper()
	answers := map[string][]answer{}
	for _, s := range sides() {
		l := newLab(t, version)
		s.everyState(l)
		answers[s.name] = questions(l)
	}
	wantSameAnswers(t, answers["node"], answers["takt"])
}

// everyState has jobs 1 to 4 finished, 5 active and 6 to 10 to be worked;
// owner is delayed and holds a deduplication key, root waits for its child.
func (s side) everyState(l *lab) {
	l.t.Helper()
	everyState(l, s)
	s.take(l)
	l.Queue("mail").Add("send", 1, node.Opts{"jobId": "owner", "delay": 3_600_000, "deduplication": node.Opts{"id": "k"}})
	l.addFlow(nil, child("good", node.Opts{"jobId": "a"}))
}

// jobsOfEveryState are the ids of everyState.
func jobsOfEveryState() []string {
	return []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "owner", "root"}
}

func TestNodesGettersSayOfTaktsQueueWhatTheySayOfNodes(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		askBoth(t, l.Version, func(l *lab) []answer {
			queue := l.Queue("mail")
			queue.Call("setGlobalConcurrency", 7)
			queue.Call("setGlobalRateLimit", 5, 1000)
			var all []answer
			for _, method := range []string{
				"getVersion", "count", "getJobCounts", "getMeta", "getCompletedCount", "getFailedCount", "getDelayedCount",
				"getActiveCount", "getPrioritizedCount", "getWaitingCount", "getWaitingChildrenCount", "getWaiting", "getWaitingChildren",
				"getActive", "getDelayed", "getPrioritized", "getCompleted", "getFailed", "getRateLimitTtl", "getGlobalConcurrency",
				"getGlobalRateLimit", "isPaused", "isMaxed", "exportPrometheusMetrics", "getQueueEvents",
			} {
				all = append(all, ask(queue.Object, method))
			}
			for _, id := range jobsOfEveryState() {
				all = append(all, ask(queue.Object, "getJobState", id), ask(queue.Object, "getJob", id), ask(queue.Object, "getJobLogs", id))
			}
			return append(all,
				ask(queue.Object, "getJobCountByTypes", "wait", "delayed", "failed"),
				ask(queue.Object, "getCountsPerPriority", []int{0, 1, 3}),
				ask(queue.Object, "getJobs", []string{"completed", "failed", "wait", "delayed", "prioritized", "active"}, 0, 3, true),
				ask(queue.Object, "getRanges", []string{"completed", "wait"}, 0, 1, false),
				ask(queue.Object, "getMetrics", "completed"),
				ask(queue.Object, "getDeduplicationJobId", "k"),
				ask(queue.Object, "getDebounceJobId", "k"),
				ask(queue.Object, "getDependencies", "root", "pending", 0, 1),
				get(queue.Object, "metaValues"), get(queue.Object, "defaultJobOptions"), get(queue.Object, "jobsOpts"))
		})
	})
}

func TestNodesJobsOfTaktAreWhatNodesJobsOfNodeAre(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		askBoth(t, l.Version, func(l *lab) []answer {
			queue := l.Queue("mail")
			var all []answer
			for _, id := range jobsOfEveryState() {
				all = append(all, ofJob(queue.KeepJob(id), l.v6())...)
			}
			return all
		})
	})
}

// ofJob asks a job everything that changes nothing.
func ofJob(job *node.Object, v6 bool) []answer {
	var all []answer
	for _, method := range []string{
		"isCompleted", "isFailed", "isDelayed", "isWaitingChildren", "isActive", "isWaiting", "getState", "getChildrenValues",
		"getIgnoredChildrenFailures", "getFailedChildrenValues", "getDependencies", "getDependenciesCount", "toJSON", "asJSON", "asJSONSandbox",
	} {
		all = append(all, ask(job, method))
	}
	for _, property := range []string{
		"name", "data", "opts", "id", "queueQualifiedName", "progress", "returnvalue", "stacktrace", "delay", "priority", "timestamp",
		"attemptsStarted", "attemptsMade", "stalledCounter", "failedReason", "deferredFailure", "finishedOn", "processedOn", "parentKey",
		"parent", "deduplicationId", "repeatJobKey", "token", "queueName", "prefix",
	} {
		all = append(all, get(job, property))
	}
	if !v6 {
		all = append(all, get(job, "debounceId"), get(job, "nextRepeatableJobId"))
	}
	return all
}
