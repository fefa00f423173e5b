package config_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

const (
	exampleFile = "../../deploy/worker.env.example"
	guideFile   = "../../docs/configuration.md"
	guideBegin  = "<!-- variables: begin -->\n"
	guideEnd    = "<!-- variables: end -->"
)

// TestTheExampleFileShowsEveryVariable keeps the file equal to the table.
func TestTheExampleFileShowsEveryVariable(t *testing.T) {
	golden(t, exampleFile, exampleText())
}

// TestTheExampleFileIsValidWithEveryLineInUse takes the comment signs off.
func TestTheExampleFileIsValidWithEveryLineInUse(t *testing.T) {
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for line := range strings.Lines(string(text)) {
		if setting, found := strings.CutPrefix(line, "#"); found && !strings.HasPrefix(setting, " ") && strings.Contains(setting, "=") {
			environ = append(environ, setting)
		}
	}
	if got, want := len(environ), len(config.Variables()); got != want {
		t.Fatalf("%d settings, want %d", got, want)
	}
	from := source(t)
	write(t, from.Dir, ".env", strings.Join(environ, ""))
	loaded := mustLoad(t, from)
	for _, entry := range loaded.Entries() {
		if place := entry.Origin.String(); !strings.HasPrefix(place, ".env:") && entry.Name != "WORKER_DOTENV_OVERRIDE" {
			t.Errorf("%s comes from %s, want the file", entry.Name, place)
		}
	}
}

func exampleText() string {
	var out strings.Builder
	out.WriteString("# The worker's settings. Copy this file to `.env` in the working directory and take\n" +
		"# the # off the lines to change; without it every setting has the default named here.\n" +
		"# The process environment beats `.env.local`, which beats `.env`. An empty value means\n" +
		"# the default. `worker config` shows what counts and where it came from.\n" +
		"# Made from the table in app/config; `go test ./app/config -update` rewrites it.\n")
	group := ""
	for _, v := range config.Variables() {
		if v.Group != group {
			group = v.Group
			out.WriteString("\n# ---- " + group + " ----\n")
		}
		out.WriteString("\n# " + v.Description + "\n# Expected: " + v.Expected + ".\n# Default: " + defaultText(v) + ".\n" +
			"#" + v.Name + "=" + settingText(v) + "\n")
	}
	return out.String()
}

func defaultText(v config.Variable) string {
	if v.Default == "" {
		return "unset"
	}
	return v.Default
}

// settingText is the default where it can be written down, else the example.
func settingText(v config.Variable) string {
	if _, report := config.Load(config.Source{Environ: []string{v.Name + "=" + v.Default, "HOME=/home/worker"}}); v.Default == "" || report.Err() != nil {
		return v.Example
	}
	return v.Default
}

// TestTheGuideHasTheTable keeps the part between the marks equal to the table.
func TestTheGuideHasTheTable(t *testing.T) {
	text, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), guideBegin)
	_, after, ended := strings.Cut(rest, guideEnd)
	if !found || !ended {
		t.Fatalf("%s lacks the marks %q and %q", guideFile, guideBegin, guideEnd)
	}
	golden(t, guideFile, before+guideBegin+guideTable()+guideEnd+after)
}

func guideTable() string {
	var out strings.Builder
	group := ""
	for _, v := range config.Variables() {
		if v.Group != group {
			group = v.Group
			out.WriteString("\n### " + group + "\n\n| Variable | Default | Accepts | Example | Meaning |\n| --- | --- | --- | --- | --- |\n")
		}
		out.WriteString("| `" + v.Name + "` | " + cell(defaultText(v)) + " | " + cell(v.Expected) +
			" | `" + v.Example + "` | " + cell(v.Description) + " |\n")
	}
	return out.String() + "\n"
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}

// TestTheZoneListIsThatOfTheToolchain notices a new release of the zone data.
func TestTheZoneListIsThatOfTheToolchain(t *testing.T) {
	archive, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")) //nolint:staticcheck // the tests run where Go is
	if err != nil {
		t.Skip("no zone data beside this toolchain: ", err)
	}
	defer archive.Close() //nolint:errcheck // read only
	var names []string
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, "/") {
			names = append(names, file.Name)
		}
	}
	slices.Sort(names)
	want := strings.Join(names, "\n") + "\n"
	if *update {
		golden(t, "zones.txt", want)
		return
	}
	if diff := cmp.Diff(want, config.ZoneNames()); diff != "" {
		t.Errorf("zones.txt (-want +got):\n%s", diff)
	}
}
