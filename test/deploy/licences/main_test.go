package main

import (
	"os"
	"testing"
)

func TestAModuleOfSeveralBinariesIsListedOnce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	one, err := modulesOf([]string{self})
	if err != nil || len(one) == 0 {
		t.Fatalf("modules of one binary: %v, %v", one, err)
	}
	if two, err := modulesOf([]string{self, self}); err != nil || len(two) != len(one) {
		t.Errorf("%d modules of two binaries, %v, want %d", len(two), err, len(one))
	}
	if _, err := modulesOf([]string{self, "/nowhere"}); err == nil {
		t.Error("a binary that is not there has no modules, and no error")
	}
}
