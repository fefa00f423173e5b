package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// elsewhere are the checks that need what Takt does not have: flows of its own
// (59, 63), job schedulers of its own (69) and Bull Board in a browser (73),
// or what a test of minutes cannot be: a cluster (75) and a day's soak (76).
func elsewhere() []int { return []int{59, 63, 69, 73, 75, 76} }

const lastCheck = 76

func TestEachCheckOfTheProtocolHasATest(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("check_*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("test files = %v, %v, want some", files, err)
	}
	found := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func TestCheck(\d\d)_`).FindAllStringSubmatch(string(source), -1) {
			found[match[1]] = true
		}
	}
	for check := 1; check <= lastCheck; check++ {
		if there := found[fmt.Sprintf("%02d", check)]; there == slices.Contains(elsewhere(), check) {
			t.Errorf("check %d has a test: %t, out of scope: %t", check, there, !there)
		}
	}
}
