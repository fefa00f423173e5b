package figures

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat, the same on every Linux.
const clockTick = 10 * time.Millisecond

// CPUOfFamily is the processor time that a process and its children have used,
// as a server does that has a process for each connection. Of children that
// ended it knows ticks of 10 ms.
func CPUOfFamily(pid int) (time.Duration, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	// Children first: one that ends meanwhile is then counted twice, not missing,
	// and the sum does not go back.
	sum, err := cpuOfChildren(filepath.Join(dir, "task", strconv.Itoa(pid), "children"))
	if err != nil {
		return 0, err
	}
	own, err := CPUOf(pid)
	if err != nil {
		return 0, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat")) //nolint:gosec // it is below /proc
	if err != nil {
		return 0, err
	}
	ended, err := parseEnded(string(stat))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return sum + own + ended, nil
}

func cpuOfChildren(file string) (sum time.Duration, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // it is below /proc
	if err != nil {
		return 0, err
	}
	for child := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		spent, err := CPUOf(pid)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += spent
	}
	return sum, nil
}

// parseEnded reads the processor time of children that ended from
// /proc/PID/stat: the 16th and 17th field, after a name that may hold anything.
func parseEnded(stat string) (time.Duration, error) {
	const user, system = 16 - 3, 17 - 3
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("stat of %d fields after the name, want more than %d", len(fields), system)
	}
	var sum time.Duration
	for _, i := range []int{user, system} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat: %w", err)
		}
		sum += time.Duration(ticks) * clockTick
	}
	return sum, nil
}
