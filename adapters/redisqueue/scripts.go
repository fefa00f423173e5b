package redisqueue

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

//go:generate go test . -run TestTheRightsFileNamesWhatIsUsed -update

//go:embed lua
var luaFiles embed.FS

// script is one Lua script of ours with its includes resolved. Scripts are
// files lua/NAME-KEYS.lua; a line "-- @include NAME" stands for the file
// lua/include/NAME.lua, which comes in once, before whatever needs it.
type script struct {
	*redis.Script

	name   string
	keys   int
	source string
}

//nolint:gochecknoglobals // the scripts are constants that take a moment to put together
var allScripts = sync.OnceValues(func() (map[string]*script, error) { return loadScripts(luaFiles) })

// scriptNamed returns the script; that it is there is a matter of the build,
// which a test of all names in use proves.
func scriptNamed(name string) *script {
	scripts, err := allScripts()
	if err != nil {
		panic(err)
	}
	s := scripts[name]
	if s == nil {
		panic("redisqueue: no script " + name)
	}
	return s
}

var (
	scriptFile  = regexp.MustCompile(`^([a-z_]+)-(\d+)\.lua$`)
	includeLine = regexp.MustCompile(`(?m)^-- @include ([a-z_]+)$`)
)

// loadScripts puts together every script below lua/.
func loadScripts(files fs.FS) (map[string]*script, error) {
	entries, err := fs.ReadDir(files, "lua")
	if err != nil {
		return nil, fmt.Errorf("load scripts: %w", err)
	}
	scripts := map[string]*script{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		match := scriptFile.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil, fmt.Errorf("load scripts: lua/%s is not named NAME-KEYS.lua", entry.Name())
		}
		loader := scriptLoader{files: files, done: map[string]bool{}}
		source, err := loader.resolve(path.Join("lua", entry.Name()), nil)
		if err == nil {
			source, err = coolDown(source)
		}
		if err != nil {
			return nil, fmt.Errorf("load scripts: lua/%s: %w", entry.Name(), err)
		}
		keyCount, _ := strconv.Atoi(match[2])
		scripts[match[1]] = &script{Script: redis.NewScript(source), name: match[1], keys: keyCount, source: source}
	}
	return scripts, nil
}

// scriptLoader puts together one script.
type scriptLoader struct {
	files fs.FS
	done  map[string]bool
}

// resolve returns the file with each include in the place of its line.
func (l *scriptLoader) resolve(file string, above []string) (string, error) {
	if slices.Contains(above, file) {
		return "", fmt.Errorf("%s includes itself: %s", file, strings.Join(append(above, file), " → "))
	}
	text, err := fs.ReadFile(l.files, file)
	if err != nil {
		return "", err
	}
	var failed error
	source := includeLine.ReplaceAllStringFunc(string(text), func(line string) string {
		name := includeLine.FindStringSubmatch(line)[1]
		if l.done[name] {
			return ""
		}
		included, err := l.resolve("lua/include/"+name+".lua", append(above, file))
		if err != nil && failed == nil {
			failed = err
		}
		l.done[name] = true
		return included
	})
	return source, failed
}
