package figures_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/taktwork/takt/test/figures"
)

func TestProcessorTimeOfAFamilyIncludesItsChildren(t *testing.T) {
	const work = `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done`
	for name, script := range map[string]string{
		"ended":  "(" + work + "); echo; read end",
		"living": "exec 3<&0; (" + work + "; echo; read end <&3) & wait",
	} {
		t.Run(name, func(t *testing.T) {
			pid := afterItsWork(t, script)
			alone, err := figures.CPUOf(pid)
			if err != nil {
				t.Fatal(err)
			}
			// The work takes more than 50 ms.
			family, err := figures.CPUOfFamily(pid)
			if err != nil || family < alone+20*time.Millisecond {
				t.Errorf("CPUOfFamily = %s, %v, of which the parent used %s: the child's is missing", family, err, alone)
			}
		})
	}
	if got, err := figures.CPUOfFamily(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("CPUOfFamily of no process = %s, %v, want that there is none", got, err)
	}
}

// afterItsWork starts a shell, returns when it has written a line, and ends it
// with the test by ending its input.
func afterItsWork(t *testing.T, script string) (pid int) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-c", script)
	input, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = shell.Wait()
	})
	if _, err := output.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return shell.Process.Pid
}
