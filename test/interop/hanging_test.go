package interop_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// hangingAddr makes the test binary a worker of Takt on this Redis that never
// ends a job, for a test to kill.
const hangingAddr = "TAKT_INTEROP_HANG"

// hang is such a worker.
func hang(addr string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	config := redisqueue.Config{Connection: redisqueue.Connection{Addr: addr}, Log: log}
	scanning(&config)
	backend, err := redisqueue.New(config)
	if err != nil {
		return err
	}
	handler := runner.HandlerFunc(func(ctx context.Context, _ *domain.Job) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	r, err := runner.New(runner.Config{Replica: "hanging", Timing: shortTiming}, runner.Ports{
		OpenConsumer: backend.OpenConsumer, Log: log, Now: time.Now, Dice: rand.Float64,
	}, nil, []runner.Queue{{Name: "mail", Concurrency: 1, Routes: map[string]runner.Route{"send": {Handler: handler}}}})
	if err != nil {
		return err
	}
	if err := r.Start(context.Background()); err != nil {
		return err
	}
	select {} // until it is killed
}

// killHangingWorker starts a hanging worker and kills it as it works a job.
func killHangingWorker(t *testing.T, l *lab) {
	t.Helper()
	worker := exec.Command(os.Args[0]) //nolint:noctx // this very binary, killed below
	worker.Env = append(os.Environ(), fmt.Sprintf("%s=%s", hangingAddr, l.server.Addr))
	stderr := &lockedBuffer{}
	worker.Stderr = stderr
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
		if t.Failed() {
			t.Logf("stderr of the killed worker: %s", stderr)
		}
	}()
	await(t, "the worker to take the job", func() bool { return len(l.list("active")) == 1 })
}
