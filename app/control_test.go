package app_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// controlled starts a worker and returns it with its control socket.
func controlled(t *testing.T, settings app.Settings, options ...app.Option) control.Instance {
	t.Helper()
	place, _ := instance(t)
	settings.StateDir, settings.Instance, settings.Replica = place.StateDir, place.Instance, "r"
	worker := build(t, settings, options...)
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Stop(context.Background()) })
	live, err := control.Instances(place.StateDir, "default")
	if err != nil || len(live) != 1 {
		t.Fatalf("Instances = %v, %v, want one worker", live, err)
	}
	return live[0]
}

func TestTheControlSocketTellsHealth(t *testing.T) {
	socket := controlled(t, app.Settings{}, jobs("f", app.Schedule("job", nothing)),
		contribute("g", app.Contribution{Handlers: []app.Handler{app.Handle("", "work", ignore)}}))
	var got app.HealthReply
	if err := socket.Call(t.Context(), app.MethodHealth, nil, &got); err != nil {
		t.Fatal(err)
	}
	want := app.HealthReply{
		State: "running", Replica: "r", Backend: "memory", Scope: "host", ScheduledJobs: 1,
		Queues: []app.QueueHealth{{Queue: "default"}}, Problems: []string{}, Counts: map[string]int{},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(app.HealthReply{}, "UptimeSeconds")); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	if got.UptimeSeconds <= 0 {
		t.Errorf("uptime = %v s, want more than none", got.UptimeSeconds)
	}
}

func TestTheControlSocketListsAndTriggersJobs(t *testing.T) {
	socket := controlled(t, app.Settings{}, jobs("f", app.Schedule("good", nothing), app.Schedule("off", nothing, app.Enabled(false)),
		app.Schedule("bad", func(context.Context, app.Run) (any, error) { return nil, errors.New("no paper") })))
	var listed []app.JobInfo
	if err := socket.Call(t.Context(), app.MethodJobs, nil, &listed); err != nil || len(listed) != 3 || listed[0].Running == nil {
		t.Errorf("jobs = %+v, %v, want three with their live state", listed, err)
	}
	var reply app.TriggerReply
	if err := socket.Call(t.Context(), app.MethodTrigger, app.TriggerRequest{Name: "bad"}, &reply); err != nil {
		t.Fatal(err)
	}
	if reply.Outcome != "failed" || reply.Reason != "no paper" || reply.Attempts != 1 || !strings.HasPrefix(reply.RunID, "bad@manual:r-1") {
		t.Errorf("trigger = %+v, want the failed run", reply)
	}
	for _, name := range []string{"off", "none"} {
		err := socket.Call(t.Context(), app.MethodTrigger, app.TriggerRequest{Name: name}, nil)
		if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeBadData {
			t.Errorf("trigger of %s = %v, want %s", name, err, control.CodeBadData)
		}
	}
}

func TestTheControlSocketBackfillsTicks(t *testing.T) {
	socket := controlled(t, app.Settings{}, jobs("f", app.Schedule("hourly", nothing, app.Cron("0 * * * *"))))
	planned := time.Now().Truncate(time.Hour).Add(-2 * time.Hour)
	for _, want := range []string{"completed", "skipped"} {
		var reply app.TriggerReply
		request := app.BackfillRequest{Name: "hourly", ID: "again", Planned: planned}
		if err := socket.Call(t.Context(), app.MethodBackfill, request, &reply); err != nil || reply.Outcome != want {
			t.Errorf("backfill = %+v, %v, want it %s", reply, err, want)
		}
	}
	for _, request := range []app.BackfillRequest{
		{Name: "none", ID: "again", Planned: planned}, {Name: "hourly", ID: "again", Planned: planned.Add(time.Second)}, {Name: "hourly", Planned: planned},
	} {
		err := socket.Call(t.Context(), app.MethodBackfill, request, nil)
		if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeBadData {
			t.Errorf("backfill %+v = %v, want %s", request, err, control.CodeBadData)
		}
	}
}

func TestTheControlSocketPausesAndResumesJobs(t *testing.T) {
	socket := controlled(t, app.Settings{}, jobs("f", app.Schedule("hourly", nothing, app.Cron("0 * * * *"))))
	for _, c := range []struct {
		method string
		paused bool
	}{{app.MethodPause, true}, {app.MethodPause, true}, {app.MethodResume, false}, {app.MethodResume, false}} {
		var reply app.SwitchReply
		if err := socket.Call(t.Context(), c.method, app.SwitchRequest{Name: "hourly"}, &reply); err != nil || reply.Paused != c.paused {
			t.Errorf("%s = %+v, %v, want paused %t", c.method, reply, err, c.paused)
		}
	}
	err := socket.Call(t.Context(), app.MethodPause, app.SwitchRequest{Name: "none"}, nil)
	if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeBadData {
		t.Errorf("pause of none = %v, want %s", err, control.CodeBadData)
	}
}

func TestTheControlSocketEnqueuesOnAnyQueue(t *testing.T) {
	socket := controlled(t, app.Settings{MemoryMaxJobs: 3})
	enqueue := func(jobs ...app.EnqueueJob) ([]app.EnqueueAnswer, error) {
		var reply app.EnqueueReply
		err := socket.Call(t.Context(), app.MethodEnqueue, app.EnqueueRequest{Jobs: jobs}, &reply)
		return reply.Results, err
	}
	got, err := enqueue(
		app.EnqueueJob{Queue: "mail", Name: "send", ID: "a", DelayMS: 5, Priority: 2, LIFO: true, Attempts: 3, Backoff: "fixed", BackoffMS: 7},
		app.EnqueueJob{Queue: "mail", Name: "send", ID: "a"})
	const note = "queue mail has no handler in this worker; it has: default"
	want := []app.EnqueueAnswer{{ID: "a", Status: "accepted", Note: note}, {ID: "a", Status: "duplicate id", Note: note}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("enqueue = %v (-want +got):\n%s", err, diff)
	}
	for name, c := range map[string]struct {
		job  app.EnqueueJob
		want control.Code
	}{
		"bad queue":   {app.EnqueueJob{Queue: "a:b", Name: "send"}, control.CodeBadData},
		"bad name":    {app.EnqueueJob{Queue: "mail"}, control.CodeBadData},
		"bad backoff": {app.EnqueueJob{Queue: "mail", Name: "send", Backoff: "none"}, control.CodeBadData},
	} {
		_, err := enqueue(c.job)
		if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != c.want {
			t.Errorf("%s: enqueue = %v, want %s", name, err, c.want)
		}
	}
	job := app.EnqueueJob{Queue: "mail", Name: "send", Data: []byte(`{"to":"ada"}`)}
	_, err = enqueue(job, job, job)
	if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeUnavailable {
		t.Errorf("enqueue on a full queue = %v, want %s", err, control.CodeUnavailable)
	}
}

func TestTheControlSocketRefusesToEnqueueWithoutQueueing(t *testing.T) {
	socket := controlled(t, app.Settings{Backend: config.BackendNone})
	err := socket.Call(t.Context(), app.MethodEnqueue, app.EnqueueRequest{Jobs: []app.EnqueueJob{{Queue: "mail", Name: "send"}}}, nil)
	if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeBadData || !strings.Contains(remote.Message, "queueing is off") {
		t.Errorf("enqueue = %v, want %s and why", err, control.CodeBadData)
	}
}

func TestTheControlSocketRefusesParametersItDoesNotKnow(t *testing.T) {
	socket := controlled(t, app.Settings{})
	for _, method := range []string{app.MethodTrigger, app.MethodBackfill, app.MethodPause, app.MethodResume, app.MethodEnqueue} {
		err := socket.Call(t.Context(), method, map[string]any{"who": "x"}, nil)
		if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code == control.CodeInternal {
			t.Errorf("%s with an unknown parameter = %v, want a refusal", method, err)
		}
	}
}

func TestARateLimitHoldsTheQueue(t *testing.T) {
	done := make(chan int, 2)
	worker := build(t, app.Settings{}, app.Supply(done), app.Feature("f", func(done chan int) app.Contribution {
		return app.Contribution{Handlers: []app.Handler{app.Handle("", "job", func(_ context.Context, job app.Job[int]) (any, error) {
			done <- job.AttemptsMade
			if job.AttemptsStarted == 1 {
				return nil, app.RateLimit(1)
			}
			return 1, nil
		})}}
	}))
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Service().Enqueue(t.Context(), "", "job", 1, domain.JobOptions{}); err != nil {
		t.Fatal(err)
	}
	if first, second := <-done, <-done; first != 0 || second != 0 {
		t.Errorf("attempts charged = %d, %d, want none", first, second)
	}
	worker.Stop(t.Context())
}

func TestAWorkerThatDrainsTakesNoMoreJobsIntoItsMemory(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	place, _ := instance(t)
	worker := build(t, app.Settings{StateDir: place.StateDir, Instance: place.Instance},
		contribute("f", app.Contribution{Handlers: []app.Handler{app.Handle("", "work", func(context.Context, app.Job[any]) (any, error) {
			close(began)
			<-end
			return nil, nil
		})}}))
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	live, err := control.Instances(place.StateDir, "default")
	if err != nil || len(live) != 1 {
		t.Fatalf("Instances = %v, %v, want one worker", live, err)
	}
	request := app.EnqueueRequest{Jobs: []app.EnqueueJob{{Queue: "default", Name: "work"}}}
	if err := live[0].Call(t.Context(), app.MethodEnqueue, request, nil); err != nil {
		t.Fatal(err)
	}
	<-began
	stopped := make(chan app.StopReport)
	go func() { stopped <- worker.Stop(context.Background()) }()
	for worker.Health().State != runner.StateDraining {
		runtime.Gosched()
	}
	err = live[0].Call(t.Context(), app.MethodEnqueue, request, nil)
	if remote, ok := errors.AsType[*control.RemoteError](err); !ok || remote.Code != control.CodeUnavailable || !strings.Contains(remote.Message, "worker is stopping") {
		t.Errorf("enqueue = %v, want %s and why", err, control.CodeUnavailable)
	}
	close(end)
	if report := <-stopped; !report.Clean() {
		t.Errorf("stop leaves %+v, want nothing", report)
	}
}

func TestQueuesThatNobodyWorksAreWarnedOfOnceAndNotWithoutEnd(t *testing.T) {
	var log logbook
	place, _ := instance(t)
	worker, err := app.New(app.Settings{StateDir: place.StateDir, Instance: place.Instance}, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Stop(context.Background()) })
	live, err := control.Instances(place.StateDir, "default")
	if err != nil || len(live) != 1 {
		t.Fatalf("Instances = %v, %v, want one worker", live, err)
	}
	for range 2 {
		request := app.EnqueueRequest{Jobs: []app.EnqueueJob{{Queue: "default", Name: "x"}}}
		for i := range 120 {
			request.Jobs = append(request.Jobs, app.EnqueueJob{Queue: "q" + strconv.Itoa(i), Name: "x"})
		}
		if err := live[0].Call(t.Context(), app.MethodEnqueue, request, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(log.lines("level=WARN", "without a handler")); got != 100 {
		t.Errorf("%d warnings, want 100", got)
	}
}

func TestASecondWorkerOfANamespaceIsWarnedOfTheFirst(t *testing.T) {
	var first, second logbook
	place, _ := instance(t)
	for _, w := range []struct {
		name string
		log  *logbook
	}{{"blue", &first}, {"green", &second}} {
		worker, err := app.New(app.Settings{StateDir: place.StateDir, Instance: w.name}, w.log.logger(), jobs("f", app.Schedule("job", nothing)))
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { worker.Stop(context.Background()) })
	}
	const warning = "with the ledger in memory each fires every tick"
	if got := first.lines(warning); len(got) != 0 {
		t.Errorf("the first worker warns: %q", got)
	}
	if got := second.lines(warning, "instances=blue", "level=WARN"); len(got) != 1 {
		t.Errorf("the second worker warns %q, want once of blue", got)
	}
}
