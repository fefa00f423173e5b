package torture_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/core/domain"
)

// command is the main function of a worker as a user would build one: with the
// feature that comes along and one of its own, which does the work.
func (p *part) command() int {
	effects, err := os.OpenFile(p.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer effects.Close() //nolint:errcheck // each line is written at once
	if slices.Contains(os.Args, "run") {
		go exitWithParent()
	}
	l := laborer{effects: effects, trap: &trap{}}
	return cli.Main(cli.Build{Version: "torture"}, lifecycle.Module(), app.Feature("torture", func() app.Contribution {
		return app.Contribution{
			Queues:   []string{queueName},
			Handlers: []app.Handler{app.Handle(queueName, jobName, l.handle)},
		}
	}))
}

// handle is Handle for a job whose payload is decoded already.
func (l laborer) handle(ctx context.Context, job app.Job[work]) (any, error) {
	data, err := json.Marshal(job.Data)
	if err != nil {
		return nil, err
	}
	result, err := l.Handle(ctx, &domain.Job{ID: job.ID, Data: data, AttemptsStarted: job.AttemptsStarted})
	return json.RawMessage(result), err
}

// programPart is a program that works on Redis at the address.
func (d desk) programPart(t testing.TB, name, addr string, env ...string) part {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	state, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	return part{
		Role: program, Name: name, Addr: addr, File: d.effects(), Args: []string{"run", "--log", "json"},
		Env: append([]string{
			"REDIS_ENABLED=true", "REDIS_URL=redis://" + addr, "WORKER_STATE_DIR=" + state + "/state", "WORKER_DATA_DIR=" + state + "/data",
			"WORKER_INSTANCE=" + name, "WORKER_LOG_REGISTERED_JOBS=false",
		}, env...),
	}
}

// askProgram asks a program for its health as a probe would: by the exit code
// and what is printed.
func (p *process) askProgram() health {
	p.t.Helper()
	text, err := json.Marshal(p.part)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), os.Args[0], "health", "--json")
	cmd.Env = append([]string{partVariable + "=" + string(text)}, p.Env...)
	output, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("ask %s: %v", p.Name, err)
	}
	var answer struct {
		OK       bool     `json:"ok"`
		Problems []string `json:"problems"`
	}
	if err := json.Unmarshal(output, &answer); err != nil {
		p.t.Fatalf("health of %s: %v: %s", p.Name, err, output)
	}
	code := 0
	if exit != nil {
		code = exit.ExitCode()
	}
	if answer.OK != (code == 0) || !answer.OK && code != cli.ExitUnavailable {
		p.t.Errorf("health of %s exits with %d and says ok: %t", p.Name, code, answer.OK)
	}
	if answer.OK {
		return health{}
	}
	return health{Away: time.Nanosecond, Reason: strings.Join(answer.Problems, "; ")}
}
