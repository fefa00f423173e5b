package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
)

// side is one of the two that are compared.
type side struct {
	name string
	// worker and producer are the commands of its processes.
	worker, producer func(context.Context, spec) *exec.Cmd
}

// takt runs this program as a child.
func takt() (side, error) {
	self, err := os.Executable()
	if err != nil {
		return side{}, err
	}
	command := func(role string) func(context.Context, spec) *exec.Cmd {
		return func(ctx context.Context, s spec) *exec.Cmd {
			return exec.CommandContext(ctx, self, childArgument, role, encoded(s)) //nolint:gosec // it is this program
		}
	}
	return side{name: "Takt", worker: command(workerRole), producer: command(producerRole)}, nil
}

// bullmq runs the programs in dir with the module at the given path.
func bullmq(dir, module string) side {
	command := func(program string) func(context.Context, spec) *exec.Cmd {
		return func(ctx context.Context, s spec) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, program), encoded(s)) //nolint:gosec // a program of ours
			cmd.Env = append(os.Environ(), "BULLMQ="+module, "NODE_ENV=production")
			return cmd
		}
	}
	return side{name: "BullMQ", worker: command("worker.mjs"), producer: command("producer.mjs")}
}

func encoded(s spec) string {
	text, _ := json.Marshal(s)
	return string(text)
}
