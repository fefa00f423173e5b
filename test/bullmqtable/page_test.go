package bullmqtable_test

import (
	_ "embed"
	"flag"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/bullmqtable"
	"github.com/taktwork/takt/test/interop/node"
)

var update = flag.Bool("update", false, "write docs/bullmq.md")

//go:embed proofs.txt
var proofs string

//go:embed checks.txt
var checks string

const (
	page     = "../../docs/bullmq.md"
	packages = "../interop/node_modules"
)

func repository() fs.FS { return os.DirFS("../..") }

func rows(t *testing.T) []bullmqtable.Row {
	t.Helper()
	var libraries []*bullmqtable.Library
	for _, version := range node.Versions() {
		library, err := bullmqtable.Load(os.DirFS(packages), version)
		if err != nil && testing.Short() {
			t.Skip("the packages of node are left out with -short: ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		libraries = append(libraries, library)
	}
	return bullmqtable.Rows(libraries...)
}

// TestThePageIsWhatDeclarationsProofsAndTestsMakeOfIt also fails for a row of
// BullMQ without an entry, and for an entry that names no test.
func TestThePageIsWhatDeclarationsProofsAndTestsMakeOfIt(t *testing.T) {
	list, err := bullmqtable.ParseProofs(proofs)
	if err != nil {
		t.Fatal("proofs.txt: ", err)
	}
	tests := bullmqtable.NewTests(repository())
	lines, problems := bullmqtable.Table(rows(t), list, tests)
	for _, problem := range problems {
		t.Error("proofs.txt: ", problem)
	}
	numbered, problems, err := bullmqtable.ParseChecks(checks, tests)
	if err != nil {
		t.Fatal("checks.txt: ", err)
	}
	for _, problem := range problems {
		t.Error("checks.txt: ", problem)
	}
	golden(t, bullmqtable.Page(lines, numbered))
	wantMostProved(t, lines)
}

// wantMostProved checks that 19 of 20 rows are proved.
func wantMostProved(t *testing.T, lines []bullmqtable.Line) {
	t.Helper()
	proved := 0
	for i := range lines {
		if lines[i].Proved() {
			proved++
		}
	}
	if proved*20 < len(lines)*19 {
		t.Errorf("%d of %d rows are proved, want 95 %%", proved, len(lines))
	}
}

// golden compares the page with what it should be, or writes it under -update.
func golden(t *testing.T, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/bullmq.md is stale, make bullmq-table writes it (-want +got):\n%s", diff)
	}
}
