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
	groups      []group
}

// group are variables that say together where something is. They count from one
// place: the first that sets any of them, or the last.
type group struct {
	subject string
	names   []string
	place   int
}

func newOrigins(environment map[string]setting, ranked ...map[string]setting) origins {
	o := origins{environment: environment, ranked: ranked, groups: []group{
		{subject: "Redis", names: redisGroup()},
		{subject: "Postgres", names: databaseGroup()},
	}}
	for i := range o.groups {
		g := &o.groups[i]
		sets := func(place map[string]setting) bool {
			return slices.ContainsFunc(g.names, func(name string) bool { return place[name].value != "" })
		}
		if g.place = slices.IndexFunc(ranked, sets); g.place < 0 {
			g.place = len(ranked) - 1
		}
	}
	return o
}

func (o origins) groupOf(name string) (group, bool) {
	i := slices.IndexFunc(o.groups, func(g group) bool { return slices.Contains(g.names, name) })
	if i < 0 || len(o.ranked) == 0 {
		return group{}, false
	}
	return o.groups[i], true
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
// ranks, and is found with an empty value. Of a group only one place counts.
func (o origins) find(name string) (setting, bool) {
	if name == nameDotenvOverride {
		found, ok := o.environment[name]
		return found, ok
	}
	ranked := o.ranked
	if g, ok := o.groupOf(name); ok {
		ranked = ranked[:g.place+1]
	}
	for _, place := range ranked {
		if found, ok := place[name]; ok {
			return found, true
		}
	}
	return setting{}, false
}

// leftOut returns a setting of a group that does not count, for a place of
// higher rank sets others of it, and what the group is about.
func (o origins) leftOut(name string) (left setting, subject string, found bool) {
	g, grouped := o.groupOf(name)
	if _, counts := o.find(name); counts || !grouped {
		return setting{}, "", false
	}
	for _, place := range o.ranked[min(g.place+1, len(o.ranked)):] {
		if left := place[name]; left.value != "" {
			return left, g.subject, true
		}
	}
	return setting{}, "", false
}
