package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// usage is what a server has done since its start.
type usage struct {
	// calls counts the commands, those inside scripts too, but not our own.
	calls uint64
	// cpu is its processor time in seconds.
	cpu float64
}

// usage asks the server what it has done.
func (s *server) usage(ctx context.Context) (usage, error) {
	text, err := s.client.InfoMap(ctx, "commandstats", "cpu").Result()
	if err != nil {
		return usage{}, err
	}
	return parseUsage(text["Commandstats"], text["CPU"])
}

// since is what was done since an earlier moment.
func (u usage) since(earlier usage) usage {
	return usage{calls: u.calls - earlier.calls, cpu: u.cpu - earlier.cpu}
}

func parseUsage(commands, cpu map[string]string) (usage, error) {
	var u usage
	for name, stats := range commands {
		if name == "cmdstat_info" {
			continue
		}
		calls, err := parseCalls(stats)
		if err != nil {
			return usage{}, fmt.Errorf("%s: %w", name, err)
		}
		u.calls += calls
	}
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(cpu[name], 64)
		if err != nil {
			return usage{}, fmt.Errorf("%s: %w", name, err)
		}
		u.cpu += seconds
	}
	return u, nil
}

// parseCalls reads calls=1,usec=2,...
func parseCalls(stats string) (uint64, error) {
	for field := range strings.SplitSeq(stats, ",") {
		if value, found := strings.CutPrefix(field, "calls="); found {
			return strconv.ParseUint(value, 10, 64)
		}
	}
	return 0, errors.New("no calls")
}
