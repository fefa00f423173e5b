package e2e_test

import (
	"bytes"
	"os"
	"testing"
)

// Looking up a method by a name that is made at run time, as text/template
// does, makes the linker keep all exported methods of all types: a third of
// the binary, and pages of memory with it.
func TestTheLinkerMayLeaveMethodsOut(t *testing.T) {
	binary, err := os.ReadFile(workerBin)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(binary, []byte("github.com/spf13/cobra.(*Command).Execute")) {
		t.Fatal("the binary names none of its functions: this test sees nothing")
	}
	for _, function := range []string{"text/template.(*state).evalField", "html/template.(*Template).Execute"} {
		if bytes.Contains(binary, []byte(function)) {
			t.Errorf("the binary contains %s: go build -ldflags=-dumpdep tells who reaches it", function)
		}
	}
}
