package docs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Compiler compiles the Go code of documents. To the compiler the code seems to lie in the module, because code elsewhere
// could not import all of it.
type Compiler struct {
	// Module is the directory of the module; documents are paths below it.
	Module string
	// Scratch is a directory for what is written.
	Scratch string

	overlay  map[string]string
	packages map[string]bool
}

// CompileError is what the compiler says about the code. Its lines name the documents.
type CompileError struct{ Output string }

// Error returns the output.
func (e *CompileError) Error() string { return e.Output }

// Compile compiles the code of the documents. Errors about the code are of type *CompileError; a fragment that is no Go at
// all is an error of its own.
func (c *Compiler) Compile(ctx context.Context, documents ...string) error {
	c.overlay, c.packages = map[string]string{}, map[string]bool{}
	for _, document := range documents {
		if err := c.add(document); err != nil {
			return err
		}
	}
	if len(c.packages) == 0 {
		return nil
	}
	return c.build(ctx)
}

// add writes the files of one document.
func (c *Compiler) add(document string) error {
	text, err := os.ReadFile(filepath.Clean(filepath.Join(c.Module, document)))
	if err != nil {
		return err
	}
	dir := "test/docs/code/" + dirOf(document)
	files, err := Files(takt+"/"+dir, Blocks(document, string(text)))
	if err != nil {
		return err
	}
	for _, file := range files {
		name := filepath.Join(dir, filepath.FromSlash(file.Name))
		written, err := c.write(name, file.Text)
		if err != nil {
			return err
		}
		c.overlay[filepath.Join(c.Module, name)] = written
		c.packages["./"+filepath.Dir(name)] = true
	}
	return nil
}

// dirOf makes a directory's name of a document's.
func dirOf(document string) string {
	name := strings.TrimSuffix(filepath.ToSlash(document), filepath.Ext(document))
	return strings.ToLower(strings.NewReplacer("/", "_", ".", "_").Replace(name))
}

func (c *Compiler) write(name, text string) (path string, err error) {
	path = filepath.Join(c.Scratch, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func (c *Compiler) build(ctx context.Context) error {
	replace, err := json.Marshal(map[string]any{"Replace": c.overlay})
	if err != nil {
		return err
	}
	overlay, err := c.write("overlay.json", string(replace))
	if err != nil {
		return err
	}
	arguments := append([]string{"build", "-overlay", overlay}, slices.Sorted(maps.Keys(c.packages))...)
	build := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // the arguments are ours
	build.Dir = c.Module
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	output, err := build.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return &CompileError{Output: string(output)}
	}
	if err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}
