package redisqueue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

func builtIn(t *testing.T) []redisqueue.Script {
	t.Helper()
	scripts, err := redisqueue.Scripts()
	if err != nil || len(scripts) == 0 {
		t.Fatalf("Scripts = %v, %v, want those that are built in", scripts, err)
	}
	return scripts
}

func TestTheNamesOfScriptsTellHowManyKeysTheyTake(t *testing.T) {
	key := regexp.MustCompile(`KEYS\[(\d+)\]`)
	for _, script := range builtIn(t) {
		highest := 0
		for _, match := range key.FindAllStringSubmatch(script.Source, -1) {
			n, _ := strconv.Atoi(match[1])
			highest = max(highest, n)
		}
		if highest > script.Keys {
			t.Errorf("%s uses KEYS[%d], want %d at most by its name", script.Name, highest, script.Keys)
		}
		if strings.Contains(script.Source, "-- @include") {
			t.Errorf("%s has an include that is not resolved", script.Name)
		}
	}
}

func TestTheServerCompilesEveryScript(t *testing.T) {
	client := redistest.Start(t).Client()
	for _, script := range builtIn(t) {
		if err := client.ScriptLoad(t.Context(), script.Source).Err(); err != nil {
			t.Errorf("SCRIPT LOAD %s = %v, want no error", script.Name, err)
		}
	}
}

func TestEveryScriptIsThereAndInUse(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:scriptNamed\(|\b(?:call|numbered|numberedAs|operate|operateOn)\(ctx, )"([a-z_]+)"`)
	var used []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range call.FindAllStringSubmatch(string(text), -1) {
			used = append(used, match[1])
		}
	}
	var there []string
	for _, script := range builtIn(t) {
		there = append(there, script.Name)
		if !slices.Contains(used, script.Name) {
			t.Errorf("script %s is not in use", script.Name)
		}
	}
	for _, name := range used {
		if !slices.Contains(there, name) {
			t.Errorf("script %s is in use, but not there", name)
		}
	}
}

func TestEveryIncludeIsInUse(t *testing.T) {
	includes, err := fs.Glob(redisqueue.LuaFiles(), "lua/include/*.lua")
	if err != nil || len(includes) == 0 {
		t.Fatalf("includes = %v, %v, want some", includes, err)
	}
	var all strings.Builder
	err = fs.WalkDir(redisqueue.LuaFiles(), "lua", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(redisqueue.LuaFiles(), path)
		all.Write(text)
		all.WriteByte('\n')
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, include := range includes {
		name := strings.TrimSuffix(filepath.Base(include), ".lua")
		if !strings.Contains(all.String(), "-- @include "+name+"\n") {
			t.Errorf("lua/include/%s.lua is not in use", name)
		}
	}
}

func TestScriptsArePutTogetherOnceInOrder(t *testing.T) {
	scripts, err := redisqueue.ScriptsOf(fstest.MapFS{
		"lua/a-2.lua":         {Data: []byte("-- @include one\n-- @include two\nreturn a\n")},
		"lua/include/one.lua": {Data: []byte("-- @include two\nlocal one\n")},
		"lua/include/two.lua": {Data: []byte("local two\n")},
	})
	if err != nil || len(scripts) != 1 {
		t.Fatalf("Scripts = %v, %v, want one", scripts, err)
	}
	if got, want := strings.Fields(scripts[0].Source), strings.Fields("local two local one return a"); !slices.Equal(got, want) || scripts[0].Keys != 2 {
		t.Errorf("script of %d keys = %q, want one of two, %q", scripts[0].Keys, got, want)
	}
}

func TestScriptsThatCannotBePutTogetherAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"a circle": {fstest.MapFS{
			"lua/a-1.lua": {Data: []byte("-- @include b\n")}, "lua/include/b.lua": {Data: []byte("-- @include c\n")},
			"lua/include/c.lua": {Data: []byte("-- @include b\n")},
		}, "includes itself"},
		"an include that is missing": {fstest.MapFS{"lua/a-1.lua": {Data: []byte("-- @include b\n")}}, "b.lua"},
		"a name without keys":        {fstest.MapFS{"lua/a.lua": {Data: []byte("return 1")}}, "NAME-KEYS"},
		"no scripts":                 {fstest.MapFS{}, "load scripts"},
	} {
		if scripts, err := redisqueue.ScriptsOf(c.files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Scripts = %v, %v, want an error with %q", name, scripts, err, c.want)
		}
	}
}

// Functions that are made on demand can be reached after the last function of
// their script, so none may come after the code that uses them has begun.
func TestNoFunctionComesAfterTheCodeThatBeginsACall(t *testing.T) {
	files, err := fs.Glob(redisqueue.LuaFiles(), "lua/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts = %v, %v, want some", files, err)
	}
	code := regexp.MustCompile(`(?m)^(?:if|while|return)\b`)
	for _, file := range files {
		text, err := fs.ReadFile(redisqueue.LuaFiles(), file)
		if err != nil {
			t.Fatal(err)
		}
		if begin := code.FindIndex(text); strings.Contains(string(text), "-- @hot") && begin != nil && strings.Contains(string(text[begin[0]:]), "\nlocal function") {
			t.Errorf("%s has a function after its code begins", file)
		}
	}
}
