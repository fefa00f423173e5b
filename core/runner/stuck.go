package runner

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// stacksOf returns the stacks of the goroutines that carry all the profiler
// labels, as the goroutine profile prints them, at most [domain.MaxStack]
// bytes. It looks at every goroutine: call it when something is wrong.
func stacksOf(labels map[string]string) string {
	var dump bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&dump, 1); err != nil {
		return ""
	}
	var found strings.Builder
	for stack := range strings.SplitSeq(dump.String(), "\n\n") {
		if carries(stack, labels) {
			found.WriteString(stack)
			found.WriteString("\n\n")
		}
	}
	return domain.CleanText(strings.TrimSpace(found.String()), domain.MaxStack)
}

func carries(stack string, labels map[string]string) bool {
	for key, value := range labels {
		if !strings.Contains(stack, fmt.Sprintf("%q:%q", key, value)) {
			return false
		}
	}
	return true
}
