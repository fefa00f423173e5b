package node_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

func start(t *testing.T, version string) *node.Agent {
	t.Helper()
	if testing.Short() {
		t.Skip("node is left out with -short; make test and make interop run it")
	}
	agent, err := node.Start(version)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agent.Stop()
		if t.Failed() {
			t.Logf("stderr of node: %s", agent.Stderr())
		}
	})
	return agent
}

func TestAgent_DrivesQueuesWorkersEventsAndFlowsOfEachVersion(t *testing.T) {
	t.Parallel()
	for _, version := range node.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			client := node.Connect(t, start(t, version), redistest.Start(t).Addr)
			queue, events := client.Queue("mail"), client.Events("mail")

			job := queue.Add("send", node.Opts{"to": "a"}, node.Opts{"attempts": 2})
			client.Worker("mail", node.Steps{"send": {node.FailTimes(1, "busy"), node.Echo()}})
			done := events.Await(t, 1, "completed")[0]
			if got := done.Field(t, "jobId"); got != job.ID {
				t.Errorf("the completed event names job %s, want %s", got, job.ID)
			}
			if got := queue.MustJob(job.ID); got.AttemptsMade != 2 || string(got.ReturnValue) != `{"to":"a"}` {
				t.Errorf("job = %+v, want two attempts and its data as the result", got)
			}

			tree := client.Flow().Call("add", node.Opts{
				"name": "all", "queueName": "mail",
				"children": []any{node.Opts{"name": "part", "queueName": "mail", "data": 1}},
			})
			if !strings.Contains(string(tree), `"children":[{"job":{"id":`) {
				t.Errorf("flow = %s, want the tree of its jobs", tree)
			}
			events.Await(t, 3, "completed")
		})
	}
}

func TestAgent_TakesJobsByHand(t *testing.T) {
	client := node.Connect(t, start(t, node.V5Last), redistest.Start(t).Addr)
	queue, worker := client.Queue("mail"), client.Manual("mail")

	if object, _ := worker.Next("t1"); object != nil {
		t.Error("Next() of an empty queue gives a job")
	}
	queue.Add("send", node.Undefined())
	object, job := worker.Next("t1")
	if object == nil || string(job.Data) != "{}" || job.Token != "t1" {
		t.Fatalf("Next() = %+v, want the job under the token", job)
	}
	object.Call("moveToFailed", node.Failure("UnrecoverableError", "broken"), "t1", false)
	if got := queue.MustJob(job.ID); got.FailedReason == nil || *got.FailedReason != "broken" {
		t.Errorf("failedReason = %v, want broken", got.FailedReason)
	}
}

func TestAgent_ReturnsWhatNodeThrows(t *testing.T) {
	client := node.Connect(t, start(t, node.V6), redistest.Start(t).Addr)
	_, err := client.Queue("mail").Try("add", "send", node.Opts{}, node.Opts{"priority": -1.5})
	if thrown, ok := errors.AsType[*node.Error](err); !ok || !strings.Contains(thrown.Message, "riority") {
		t.Errorf("add with a broken priority = %v, want node's error", err)
	}
	if _, err := client.Queue("mail").TryOnJob("9", "promote"); err == nil {
		t.Error("promote of no job = no error, want one")
	}
}

func TestAgent_EndsWhenStoppedAndWhenKilled(t *testing.T) {
	for _, end := range []func(*node.Agent){(*node.Agent).Stop, (*node.Agent).Kill} {
		agent := start(t, node.V5First)
		pid := agent.PID()
		end(agent)
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d lives on", pid)
		}
		if _, err := agent.Call(t.Context(), node.Request{Op: "open", Name: "gate"}); err == nil {
			t.Error("a call to an ended agent = no error, want one")
		}
	}
}
