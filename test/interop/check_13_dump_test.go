package interop_test

import (
	"testing"

	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// processThree adds three jobs and has a Node worker complete them.
func processThree(t *testing.T, l *lab) keydump.Dump {
	t.Helper()
	queue, events := l.Queue("mail"), l.Events("mail")
	for i := range 3 {
		queue.Add("send", node.Opts{"i": i})
	}
	worker := l.Worker("mail", node.Steps{"*": {node.Return(node.Opts{"ok": true})}}, node.Opts{"name": "w"})
	events.Await(t, 1, "drained")
	worker.Close()
	return l.dump()
}

func TestCheck13_ItsBaselineDumpsOfAllVersionsOfNodeAreEqual(t *testing.T) {
	t.Parallel()
	leaveOut(t, true)
	want := processThree(t, newLab(t, node.V5First))
	for _, version := range node.Versions() {
		if diff := keydump.Diff(want, processThree(t, newLab(t, version))); diff != "" {
			t.Errorf("%s leaves other keys than %s:\n%s", version, node.V5First, diff)
		}
	}
}
