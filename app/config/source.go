package config

import (
	"os"
	"slices"
	"strings"
	"time"
)

// The files, from the working directory.
const (
	localFile = ".env.local"
	baseFile  = ".env"
)

// Source is what a configuration is read from.
type Source struct {
	// Environ is the process environment as name=value pairs; of equal names
	// the first counts, as for the C library.
	Environ []string
	// Dir is the directory of `.env` and `.env.local`; empty means no files.
	Dir string
	// PID is the process id, the default of WORKER_INSTANCE.
	PID int
	// UID is the user id, part of the default of WORKER_STATE_DIR.
	UID int
	// Now is when certificates must be valid; zero means at the time of the check.
	Now time.Time
}

// ProcessSource is this process: its environment, working directory and ids.
func ProcessSource() (Source, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Source{}, err
	}
	return Source{Environ: os.Environ(), Dir: dir, PID: os.Getpid(), UID: os.Getuid()}, nil
}

// origins are the settings of every place, the highest rank first.
type origins struct {
	environment map[string]setting
	ranked      []map[string]setting
	// redis is the place that the group of Redis is taken from: the first that
	// sets any of it, or the last.
	redis int
}

func newOrigins(environment map[string]setting, ranked ...map[string]setting) origins {
	o := origins{environment: environment, ranked: ranked, redis: len(ranked) - 1}
	sets := func(place map[string]setting) bool {
		return slices.ContainsFunc(redisGroup(), func(name string) bool { return place[name].value != "" })
	}
	if i := slices.IndexFunc(ranked, sets); i >= 0 {
		o.redis = i
	}
	return o
}

// rank reads all places. The second result is what is wrong with the files.
func (s Source) rank() (origins, Report) {
	environment := map[string]setting{}
	for _, pair := range s.Environ {
		name, value, found := strings.Cut(pair, "=")
		if _, known := environment[name]; found && name != "" && !known {
			environment[name] = setting{value: value, origin: Origin{Kind: FromEnvironment}}
		}
	}
	if s.Dir == "" {
		return newOrigins(environment, environment), Report{}
	}
	local, base := readDotenv(s.Dir, localFile), readDotenv(s.Dir, baseFile)
	ranked := []map[string]setting{environment, local.settings, base.settings}
	if override, _ := boolean().canonical(environment[nameDotenvOverride].value); override == "true" {
		ranked[0], ranked[1] = ranked[1], ranked[0]
	}
	return newOrigins(environment, ranked...), Report{
		Problems: append(local.problems, base.problems...),
		Warnings: append(local.warnings, base.warnings...),
	}
}

// find returns the setting of the highest rank. An empty one masks the lower
// ranks, and is found with an empty value. Of the group of Redis only one place
// counts.
func (o origins) find(name string) (setting, bool) {
	if name == nameDotenvOverride {
		found, ok := o.environment[name]
		return found, ok
	}
	ranked := o.ranked
	if slices.Contains(redisGroup(), name) && len(ranked) > 0 {
		ranked = ranked[:o.redis+1]
	}
	for _, place := range ranked {
		if found, ok := place[name]; ok {
			return found, true
		}
	}
	return setting{}, false
}

// leftOut returns a setting of the group of Redis that does not count, for a
// place of higher rank sets others.
func (o origins) leftOut(name string) (setting, bool) {
	if _, counts := o.find(name); counts || !slices.Contains(redisGroup(), name) {
		return setting{}, false
	}
	for _, place := range o.ranked[min(o.redis+1, len(o.ranked)):] {
		if found := place[name]; found.value != "" {
			return found, true
		}
	}
	return setting{}, false
}
