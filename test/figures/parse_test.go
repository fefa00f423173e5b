package figures_test

import (
	"testing"

	"github.com/taktwork/takt/test/figures"
)

func TestResidentMemoryIsReadFromTheStatusOfAProcess(t *testing.T) {
	status := "Name:\tworker\nVmHWM:\t   99999 kB\nVmRSS:\t   17408 kB\nRssAnon:\t    5000 kB\n"
	if got, err := figures.ParseResident(status); err != nil || got != 17408<<10 {
		t.Errorf("ParseResident = %d, %v, want %d", got, err, 17408<<10)
	}
	for _, bad := range []string{"", "VmHWM:\t5 kB\n", "VmRSS:\t5 MB\n", "VmRSS:\tmany kB\n", "VmRSS:\n"} {
		if got, err := figures.ParseResident(bad); err == nil {
			t.Errorf("ParseResident(%q) = %d, want an error", bad, got)
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

func TestTheModelIsFoundInCpuinfo(t *testing.T) {
	text := "processor\t: 0\nvendor_id\t: Acme\nmodel name\t: Acme 9000 @ 3.00GHz\nmodel\t\t: 1\n\nprocessor\t: 1\nmodel name\t: Other\n"
	if got := figures.CPUModel(text); got != "Acme 9000 @ 3.00GHz" {
		t.Errorf("CPUModel = %q, want the first model name", got)
	}
	if got := figures.CPUModel("processor: 0\n"); got != "unknown CPU" {
		t.Errorf("CPUModel without a model = %q, want unknown CPU", got)
	}
}
