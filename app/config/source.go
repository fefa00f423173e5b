package config

import (
	"os"
	"strings"
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
		return origins{environment: environment, ranked: []map[string]setting{environment}}, Report{}
	}
	local, base := readDotenv(s.Dir, localFile), readDotenv(s.Dir, baseFile)
	ranked := []map[string]setting{environment, local.settings, base.settings}
	if override, _ := boolean().canonical(environment[nameDotenvOverride].value); override == "true" {
		ranked[0], ranked[1] = ranked[1], ranked[0]
	}
	return origins{environment: environment, ranked: ranked}, Report{
		Problems: append(local.problems, base.problems...),
		Warnings: append(local.warnings, base.warnings...),
	}
}

// find returns the setting of the highest rank. An empty one masks the lower
// ranks, and is found with an empty value.
func (o origins) find(name string) (setting, bool) {
	if name == nameDotenvOverride {
		found, ok := o.environment[name]
		return found, ok
	}
	for _, place := range o.ranked {
		if found, ok := place[name]; ok {
			return found, true
		}
	}
	return setting{}, false
}
