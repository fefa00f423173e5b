package deploy_test

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sizeMost is the largest content of an image.
const sizeMost = 35_000_000

// tree is the image's file tree, assembled once.
var tree struct {
	once sync.Once
	dir  string
	said said
}

// rootfs is the file tree that deploy/rootfs assembled; nobody changes it.
func rootfs(t testing.TB) string {
	t.Helper()
	tree.once.Do(func() {
		dir, err := os.MkdirTemp("", "takt-image") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		tree.dir = dir
		tree.said = assemble(t, repository(t), filepath.Join(dir, "rootfs"))
	})
	tree.said.want(t, 0)
	return filepath.Join(tree.dir, "rootfs")
}

func removeTree() int {
	if err := os.RemoveAll(tree.dir); err != nil {
		println(err.Error())
		return 1
	}
	return 0
}

// assemble takes the steps that the Dockerfile takes.
func assemble(t testing.TB, sources, out string) said {
	t.Helper()
	return run(t, []string{"VERSION=v1.2.3", "COMMIT=0123456789abcdef", "SOURCE_DATE_EPOCH=1764000000"}, filepath.Join(sources, "deploy", "rootfs"), out)
}

// root is a copy of the image's tree with places for mounts, as a container runtime makes them.
func root(t testing.TB, mounts ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.CopyFS(dir, os.DirFS(rootfs(t))); err != nil {
		t.Fatal(err)
	}
	for _, mount := range mounts {
		if err := os.MkdirAll(dir+mount, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listing describes each file of a tree: mode, time, and the hash of what it holds.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		description := fmt.Sprintf("%s %d", info.Mode(), info.ModTime().Unix())
		if info.Mode().IsRegular() {
			sum := sha256.Sum256([]byte(read(t, path)))
			description += " " + hex.EncodeToString(sum[:])
		}
		files[name] = description
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheImageHoldsTheWorkerAndAuthoritiesAlone(t *testing.T) {
	dir := rootfs(t)
	var names []string
	size := int64(0)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		name, _ := filepath.Rel(dir, path)
		names = append(names, info.Mode().String()+" "+name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drwxr-xr-x etc", "drwxr-xr-x etc/ssl", "drwxr-xr-x etc/ssl/certs", "-rw-r--r-- etc/ssl/certs/ca-certificates.crt",
		"drwxr-xr-x usr", "drwxr-xr-x usr/local", "drwxr-xr-x usr/local/bin", "-rwxr-xr-x usr/local/bin/worker",
		"drwxr-xr-x var", "drwxr-xr-x var/lib", "drwx------ var/lib/takt",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the image differs (-want +got):\n%s", diff)
	}
	if size > sizeMost {
		t.Errorf("the image holds %d bytes, want at most %d", size, sizeMost)
	}
	t.Logf("the image holds %.1f MB", float64(size)/1e6)
	if !strings.Contains(read(t, filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt")), "-----BEGIN CERTIFICATE-----") {
		t.Error("the bundle of authorities holds none")
	}
	binary, err := elf.Open(filepath.Join(dir, "usr/local/bin/worker"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close() //nolint:errcheck // opened to read
	if needed, err := binary.ImportedLibraries(); err != nil || len(needed) > 0 || binary.Section(".interp") != nil {
		t.Errorf("the binary is not static: it needs %v, %v", needed, err)
	}
}

// TestTwoBuildsAreTheSameByteByByte builds from the sources and from a copy of what the Dockerfile takes, elsewhere and
// without a repository beside it.
func TestTwoBuildsAreTheSameByteByByte(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "elsewhere")
	for _, name := range []string{"go.mod", "go.sum"} {
		write(t, filepath.Join(copied, name), read(t, repository(t, name)), 0o644)
	}
	for _, name := range []string{"adapters", "app", "cmd", "core"} {
		if err := os.CopyFS(filepath.Join(copied, name), os.DirFS(repository(t, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"build", "rootfs"} {
		write(t, filepath.Join(copied, "deploy", name), read(t, repository(t, "deploy", name)), 0o755)
	}
	out := filepath.Join(t.TempDir(), "rootfs")
	assemble(t, copied, out).want(t, 0)
	if diff := cmp.Diff(listing(t, rootfs(t)), listing(t, out)); diff != "" {
		t.Errorf("two builds differ:\n%s", diff)
	}
}

func TestTheImageHoldsNoSecretAndNoPathOfTheBuilder(t *testing.T) {
	binary := read(t, filepath.Join(rootfs(t), "usr/local/bin/worker"))
	for _, text := range []string{repository(t), os.TempDir() + "/", "BEGIN PRIVATE KEY-----\nM"} {
		if strings.Contains(binary, text) && len(text) > len("/tmp/") {
			t.Errorf("the binary holds %q", text)
		}
	}
	if !strings.Contains(binary, "0123456789abcdef") {
		t.Error("the binary does not hold the commit: this test looks in the wrong place")
	}
}
