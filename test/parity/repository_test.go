package parity_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/taktwork/takt/test/parity"
)

// repository is the tree that these tests judge: the one they stand in.
func repository() fs.FS { return os.DirFS("../..") }

func documents(t *testing.T) []string {
	t.Helper()
	found, err := parity.Documents(repository())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func expectNone(t *testing.T, problems []parity.Problem, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

func TestEveryParityRowNamesAnExistingTestOrLaterWork(t *testing.T) {
	problems, err := parity.Claims(repository(), "docs/parity.md")
	expectNone(t, problems, err)
}

func TestEveryDirectDependencyIsAccountedFor(t *testing.T) {
	problems, err := parity.Dependencies(repository(), "docs/dependencies.md")
	expectNone(t, problems, err)
}

func TestEveryRelativeLinkOfTheDocumentationResolves(t *testing.T) {
	problems, err := parity.Links(repository(), documents(t))
	expectNone(t, problems, err)
}

func TestEveryMakeTargetNamedInTheDocumentationExists(t *testing.T) {
	problems, err := parity.Targets(repository(), documents(t))
	expectNone(t, problems, err)
}

func TestTheDocumentationHoldsNoMachinePathsAndNoUnfinishedPlaces(t *testing.T) {
	problems, err := parity.Wording(repository(), documents(t))
	expectNone(t, problems, err)
}

func TestNoTestSleepsInRealTime(t *testing.T) {
	problems, err := parity.Sleeps(repository())
	expectNone(t, problems, err)
}
