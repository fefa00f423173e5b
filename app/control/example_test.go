package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/taktwork/takt/app/control"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "takt")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example's end

	// The worker.
	server, err := control.Listen(control.Config{
		StateDir:  dir,
		Namespace: "default",
		Instance:  "web-1",
		Handlers: map[string]control.Handler{
			"trigger": func(_ context.Context, params json.RawMessage) (any, error) {
				var trigger struct{ Name string }
				if err := control.DecodeParams(params, &trigger); err != nil {
					return nil, err
				}
				if trigger.Name != "report" {
					return nil, control.WithCode(control.CodeBadData, fmt.Errorf("unknown job %q", trigger.Name))
				}
				return "succeeded", nil
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()

	// The command line.
	live, err := control.Instances(dir, "default")
	if err != nil {
		fmt.Println(err)
		return
	}
	worker, err := control.Pick(live, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	var outcome string
	err = worker.Call(ctx, "trigger", map[string]string{"name": "report"}, &outcome)
	fmt.Println(worker.Name, outcome, err)
	err = worker.Call(ctx, "trigger", map[string]string{"name": "rapport"}, &outcome)
	fmt.Println(control.CodeOf(err), err)

	fmt.Println(server.Close(ctx), <-served)
	// Output:
	// web-1 succeeded <nil>
	// bad_data call trigger: unknown job "rapport"
	// <nil> <nil>
}

func ExamplePick() {
	live := []control.Instance{{Name: "web-1"}, {Name: "web-2"}}
	_, err := control.Pick(live, "")
	var several *control.AmbiguousError
	fmt.Println(errors.As(err, &several), err)
	// Output: true several workers are running: web-1, web-2
}
