// Command licences lists the modules that Go binaries were built from, each once, with their licences, and fails if one of
// them has a licence that is not allowed, or none that can be recognised:
//
//	licences BINARY...
package main

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences that ask for no more than to be named.
var allowed = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "Unlicense", "CC0-1.0"} //nolint:gochecknoglobals // a table

// coverage is how much of a file must be words of licences.
const coverage = 75

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: licences BINARY...")
		os.Exit(64)
	}
	if err := report(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func report(ctx context.Context, out io.Writer, binaries []string) error {
	modules, err := modulesOf(binaries)
	if err != nil {
		return err
	}
	var refused []string
	for _, module := range modules {
		found, err := licencesOf(ctx, module)
		if err != nil {
			return fmt.Errorf("%s: %w", module.Path, err)
		}
		if len(found) == 0 || slices.ContainsFunc(found, func(id string) bool { return !slices.Contains(allowed, id) }) {
			refused = append(refused, fmt.Sprintf("%s (%s)", module.Path, strings.Join(found, ", ")))
		}
		if _, err := fmt.Fprintf(out, "%s %s %s\n", module.Path, module.Version, strings.Join(found, ", ")); err != nil {
			return err
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("not among %s: %s", strings.Join(allowed, ", "), strings.Join(refused, "; "))
	}
	return nil
}

// modulesOf returns the modules of all binaries, by path. Each platform may have some of its own.
func modulesOf(binaries []string) ([]*debug.Module, error) {
	var modules []*debug.Module
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, err
		}
		modules = append(modules, info.Deps...)
	}
	compare := func(a, b *debug.Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	}
	slices.SortFunc(modules, compare)
	return slices.CompactFunc(modules, func(a, b *debug.Module) bool { return compare(a, b) == 0 }), nil
}

// licencesOf returns the licences in the top directory of a module, sorted.
func licencesOf(ctx context.Context, module *debug.Module) ([]string, error) {
	if module.Replace != nil {
		module = module.Replace
	}
	output, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module.Path+"@"+module.Version).Output() //nolint:gosec // the binary is ours
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(output, &answer); jsonErr != nil || answer.Error != "" {
		return nil, fmt.Errorf("go mod download: %w %s", err, answer.Error)
	}
	return recognise(os.DirFS(answer.Dir).(readDirFS)) //nolint:forcetypeassert // DirFS reads directories
}

type readDirFS interface {
	ReadDir(name string) ([]os.DirEntry, error)
	ReadFile(name string) ([]byte, error)
}

func recognise(module readDirFS) ([]string, error) {
	entries, err := module.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		name := strings.ToUpper(strings.TrimSuffix(entry.Name(), filepath.Ext(entry.Name())))
		// Such a list is of other modules, which are judged by themselves if they are in the binary.
		if entry.IsDir() || strings.HasSuffix(name, "3RD-PARTY") || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING"}, func(word string) bool { return strings.HasPrefix(name, word) }) {
			continue
		}
		text, err := module.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		scan := licensecheck.Scan(text)
		// What else is there may be of a logo, or a note.
		if !strings.ContainsAny(name, "-_") && scan.Percent < coverage {
			return nil, fmt.Errorf("%s is %.0f %% licence, want %d", entry.Name(), scan.Percent, coverage)
		}
		for _, match := range scan.Match {
			found = append(found, match.ID)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
