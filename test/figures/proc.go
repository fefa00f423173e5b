package figures

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// OwnCPU is the processor time that this process has used.
func OwnCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// CPUOf is the processor time that a process has used. The clock ticks of
// /proc/PID/stat are too coarse for a process that rests, so it is the sum of
// its threads' nanoseconds; those of threads that ended are missing from it,
// and the runtime of Go ends none of an idle program.
func CPUOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("cpu time of process %d: no /proc/PID/task/*/schedstat: %w", pid, os.ErrNotExist)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // it is below /proc
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		spent, err := parseSchedstat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += spent
	}
	return sum, nil
}

// parseSchedstat reads the time on a processor: the first of three numbers.
func parseSchedstat(text string) (time.Duration, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("schedstat of %d fields, want 3", len(fields))
	}
	ns, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("schedstat: %w", err)
	}
	return time.Duration(ns), nil
}

// ResidentOf is the resident memory of a process in bytes.
func ResidentOf(pid int) (uint64, error) { return memoryOf(pid, "VmRSS") }

// PeakOf is the largest resident memory that a process has had, in bytes.
func PeakOf(pid int) (uint64, error) { return memoryOf(pid, "VmHWM") }

func memoryOf(pid int, field string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(text), field)
}

// parseMemory finds a field in the text of /proc/PID/status, in bytes.
func parseMemory(status, field string) (uint64, error) {
	for line := range strings.Lines(status) {
		rest, found := strings.CutPrefix(line, field+":")
		if !found {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != 2 || fields[1] != "kB" {
			return 0, fmt.Errorf("%s is %q, want a number of kB", field, strings.TrimSpace(rest))
		}
		kib, err := strconv.ParseUint(fields[0], 10, 54)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", field, err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("no %s", field)
}
