package control_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/control"
)

func TestInstancesAreTheLiveOnesByName(t *testing.T) {
	dir := stateDir(t)
	if got := mustInstances(t, dir); len(got) != 0 {
		t.Errorf("Instances() of an empty directory = %v, want none", got)
	}
	if got := mustInstances(t, filepath.Join(dir, "missing")); len(got) != 0 {
		t.Errorf("Instances() of a missing directory = %v, want none", got)
	}
	a10, b, a := start(t, config(dir, "a-10")), start(t, config(dir, "b")), start(t, config(dir, "a"))
	abandon(t, filepath.Join(dir, "default", "dead.sock"))
	must(t, os.WriteFile(filepath.Join(dir, "default", "file.sock"), nil, 0o600))
	want := []control.Instance{a.Instance, a10.Instance, b.Instance}
	if diff := cmp.Diff(want, mustInstances(t, dir)); diff != "" {
		t.Errorf("Instances() (-want +got):\n%s", diff)
	}
	must(t, b.Close(t.Context()))
	if diff := cmp.Diff(want[:2], mustInstances(t, dir)); diff != "" {
		t.Errorf("Instances() after one closed (-want +got):\n%s", diff)
	}
}

func TestLeftoversAreOfWorkersThatAreGone(t *testing.T) {
	dir := stateDir(t)
	start(t, config(dir, "live"))
	for _, name := range []string{"dead.lock", "another-7.lock", "file.sock", "..lock"} {
		must(t, os.WriteFile(filepath.Join(dir, "default", name), nil, 0o600))
	}
	got, err := control.Leftovers(dir, "default")
	if diff := cmp.Diff([]string{"another-7", "dead"}, got); err != nil || diff != "" {
		t.Errorf("Leftovers() = %v (-want +got):\n%s", err, diff)
	}
	if _, err := control.Leftovers("relative", "default"); !errors.Is(err, control.ErrConfig) {
		t.Errorf("Leftovers() of a relative directory = %v, want ErrConfig", err)
	}
	if got, err := control.Leftovers(filepath.Join(dir, "missing"), "default"); len(got) != 0 || err != nil {
		t.Errorf("Leftovers() of a missing directory = %v, %v, want none", got, err)
	}
}

func TestInstancesRefusesNamesThatLeadElsewhere(t *testing.T) {
	for _, c := range [][2]string{{"relative", "default"}, {"/tmp", "../etc"}} {
		if _, err := control.Instances(c[0], c[1]); !errors.Is(err, control.ErrConfig) {
			t.Errorf("Instances(%q, %q) = %v, want ErrConfig", c[0], c[1], err)
		}
	}
}

func TestPickTakesTheOnlyOneOrTheOneThatIsWanted(t *testing.T) {
	a, b := control.Instance{Name: "a", Socket: "/a"}, control.Instance{Name: "b", Socket: "/b"}
	cases := map[string]struct {
		live   []control.Instance
		wanted string
		want   control.Instance
		code   control.Code
	}{
		"the only one":       {[]control.Instance{a}, "", a, ""},
		"the wanted of two":  {[]control.Instance{a, b}, "b", b, ""},
		"none":               {nil, "", control.Instance{}, control.CodeUnavailable},
		"none, one wanted":   {nil, "a", control.Instance{}, control.CodeUnavailable},
		"wanted not there":   {[]control.Instance{a}, "b", control.Instance{}, control.CodeUnavailable},
		"two and no wish":    {[]control.Instance{a, b}, "", control.Instance{}, control.CodeUsage},
		"wanted of only one": {[]control.Instance{a}, "a", a, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := control.Pick(c.live, c.wanted)
			if got != c.want || control.CodeOf(err) != c.code {
				t.Errorf("Pick(%v, %q) = %v, %v, want %v and code %q", c.live, c.wanted, got, err, c.want, c.code)
			}
			if c.code == control.CodeUnavailable && !errors.Is(err, control.ErrNoWorker) {
				t.Errorf("Pick(%v, %q) = %v, want ErrNoWorker", c.live, c.wanted, err)
			}
		})
	}
	_, err := control.Pick([]control.Instance{a, b}, "")
	var ambiguous *control.AmbiguousError
	if !errors.As(err, &ambiguous) || len(ambiguous.Instances) != 2 || err.Error() != "several workers are running: a, b" {
		t.Errorf("Pick() = %v, want an AmbiguousError with both", err)
	}
}

// TestHelperProcess is the worker of the crash tests, in a process of its own.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv("CONTROL_TEST_DIR")
	if dir == "" {
		t.Skip("runs as a child of the crash tests")
	}
	r := start(t, config(dir, "victim"))
	_, _ = os.Stdout.WriteString("up\n")
	<-context.Background().Done()
	_ = r
}

func TestAKilledWorkerIsNotListedAndItsNameIsFree(t *testing.T) {
	dir := stateDir(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperProcess$")
	child.Env = append(os.Environ(), "CONTROL_TEST_DIR="+dir)
	output, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "up\n" {
		t.Fatalf("child said %q, %v, want up", line, err)
	}
	list := mustInstances(t, dir)
	if len(list) != 1 || list[0].Name != "victim" {
		t.Fatalf("Instances() = %v, want the victim", list)
	}
	must(t, list[0].Call(t.Context(), "echo", nil, nil))
	wantListenError(t, config(dir, "victim"), control.ErrInUse)

	must(t, child.Process.Kill())
	_ = child.Wait()
	if !exists(list[0].Socket) || !exists(lockOf(list[0].Socket)) {
		t.Fatal("the killed worker left nothing behind, want its socket and lock file")
	}
	if got := mustInstances(t, dir); len(got) != 0 {
		t.Errorf("Instances() = %v, want none", got)
	}
	if err := list[0].Call(t.Context(), "echo", nil, nil); !errors.Is(err, control.ErrNoWorker) {
		t.Errorf("Call() of the killed worker = %v, want ErrNoWorker", err)
	}
	must(t, start(t, config(dir, "victim")).Call(t.Context(), "echo", nil, nil))
}
