package figures_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/figures"
)

func TestResidentMemoryIsReadFromTheStatusOfAProcess(t *testing.T) {
	status := "Name:\tworker\nVmHWM:\t   99999 kB\nVmRSS:\t   17408 kB\nRssAnon:\t    5000 kB\n"
	for field, want := range map[string]uint64{"VmRSS": 17408 << 10, "VmHWM": 99999 << 10} {
		if got, err := figures.ParseMemory(status, field); err != nil || got != want {
			t.Errorf("ParseMemory(%s) = %d, %v, want %d", field, got, err, want)
		}
	}
	for _, bad := range []string{"", "VmHWM:\t5 kB\n", "VmRSS:\t5 MB\n", "VmRSS:\tmany kB\n", "VmRSS:\n"} {
		if got, err := figures.ParseMemory(bad, "VmRSS"); err == nil {
			t.Errorf("ParseMemory(%q, VmRSS) = %d, want an error", bad, got)
		}
	}
}

func TestProcessorTimeIsReadFromSchedstat(t *testing.T) {
	if got, err := figures.ParseSchedstat("1234567 89 10\n"); err != nil || got != 1234567 {
		t.Errorf("ParseSchedstat = %d, %v, want 1234567 ns", got, err)
	}
	for _, bad := range []string{"", "1 2", "x 2 3"} {
		if got, err := figures.ParseSchedstat(bad); err == nil {
			t.Errorf("ParseSchedstat(%q) = %d, want an error", bad, got)
		}
	}
}

func TestTimeOfEndedChildrenIsReadFromStat(t *testing.T) {
	stat := "17 (odd) name) 1 2) S 1 17 17 0 -1 4194560 900 800 7 6 11 12 130 20 20 0 1 0 300 1000 200\n"
	if got, err := figures.ParseEnded(stat); err != nil || got != 1500*time.Millisecond {
		t.Errorf("ParseEnded = %s, %v, want 1.5s", got, err)
	}
	for _, bad := range []string{"", "17 (name) S 1 17", strings.Replace(stat, "130", "many", 1)} {
		if got, err := figures.ParseEnded(bad); err == nil {
			t.Errorf("ParseEnded(%q) = %s, want an error", bad, got)
		}
	}
}

func TestTheModelIsFoundInCpuinfo(t *testing.T) {
	text := "processor\t: 0\nvendor_id\t: Acme\nmodel name\t: Acme 9000 @ 3.00GHz\nmodel\t\t: 1\n\nprocessor\t: 1\nmodel name\t: Other\n"
	if got := figures.CPUModel(text); got != "Acme 9000 @ 3.00GHz" {
		t.Errorf("CPUModel = %q, want the first model name", got)
	}
	if got := figures.CPUModel("processor: 0\n"); got != "unknown CPU" {
		t.Errorf("CPUModel without a model = %q, want unknown CPU", got)
	}
}
