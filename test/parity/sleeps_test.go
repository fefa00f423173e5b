package parity_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/parity"
)

func TestSleepsReportsTestsThatWaitInRealTime(t *testing.T) {
	const sleeping = "package a\nimport \"time\"\nfunc f() {\n\ttime.Sleep(1)\n}\n"
	problems, err := parity.Sleeps(fstest.MapFS{
		"core/a/real_test.go":       {Data: []byte(sleeping)},
		"core/a/bubble_test.go":     {Data: []byte("package a\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { synctest.Wait(); time.Sleep(1) }\n")},
		"core/a/other_test.go":      {Data: []byte("package a\nfunc f() { clock.Sleep(1) }\n")},
		"core/a/product.go":         {Data: []byte(sleeping)},
		"core/testdata/old_test.go": {Data: []byte(sleeping)},
		"bin/mod/x_test.go":         {Data: []byte(sleeping)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []parity.Problem{{File: "core/a/real_test.go", Line: 4, Text: "time.Sleep outside testing/synctest: wait for the event itself"}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("Sleeps (-want +got):\n%s", diff)
	}
}

func TestSleepsFailsOnAFileThatDoesNotParse(t *testing.T) {
	if _, err := parity.Sleeps(fstest.MapFS{"a_test.go": {Data: []byte("package a\nfunc {\n")}}); err == nil {
		t.Error("Sleeps of a broken file = nil error, want one")
	}
}
