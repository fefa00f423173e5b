package bullmqtable

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Library is what one version of BullMQ declares.
type Library struct {
	Version string

	declared map[string]declaration
}

// Load reads the declaration files of a version from the directory of
// installed packages. The error names what is missing.
func Load(packages fs.FS, version string) (*Library, error) {
	l := &Library{Version: version, declared: map[string]declaration{}}
	home := "bullmq-" + version + "/dist/esm"
	// What BullMQ 5 takes of a schedule is declared by its parser.
	for _, pattern := range []string{"cron-parser/types/common.d.ts", home + "/types/*.d.ts", home + "/interfaces/*.d.ts", home + "/classes/*.d.ts"} {
		if err := l.read(packages, pattern); err != nil {
			return nil, fmt.Errorf("read BullMQ %s: %w", version, err)
		}
	}
	return l, nil
}

func (l *Library) read(packages fs.FS, pattern string) error {
	files, err := fs.Glob(packages, pattern)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no %s is installed: run .ci/need-interop (make bullmq-table does)", pattern)
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		source, err := fs.ReadFile(packages, file)
		if err != nil {
			return err
		}
		maps.Copy(l.declared, declarations(string(source)))
	}
	return nil
}

// members returns the public members of the type of the name, inherited ones
// behind its own. A type that BullMQ does not declare has none.
func (l *Library) members(name string) []Member {
	d := l.declared[name]
	members := slices.Clone(d.members)
	for _, b := range d.bases {
		members = join(members, l.members(b.name), b.without...)
	}
	return members
}
