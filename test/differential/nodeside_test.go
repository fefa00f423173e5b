package differential_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

// result is what a step answers, as JSON, or the message of its error.
type result struct {
	OK    json.RawMessage `json:"ok,omitempty"`
	Error string          `json:"error,omitempty"`
}

func (r result) String() string {
	if r.Error != "" {
		return "error: " + r.Error
	}
	return string(r.OK)
}

// nodeSide is a Node process that carries out steps on two databases.
type nodeSide struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bytes.Buffer
}

func startNode(t *testing.T, version string, server *redistest.Server, databases [2]int) *nodeSide {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	//nolint:noctx // ended with the test
	cmd := exec.Command("node", "driver.js", version, host, port, strconv.Itoa(databases[0]), strconv.Itoa(databases[1]))
	n := &nodeSide{cmd: cmd, stderr: &bytes.Buffer{}}
	cmd.Stderr = n.stderr
	if n.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.out = bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node: %v", err)
	}
	t.Cleanup(n.stop)
	var ready string
	if err := n.read(&ready); err != nil {
		t.Fatalf("start node with BullMQ %s (run .ci/need-interop): %v", version, err)
	}
	return n
}

func (n *nodeSide) stop() {
	_ = n.in.Close()
	_, _ = io.Copy(io.Discard, n.out)
	_ = n.cmd.Wait()
}

// request is one line to the driver.
type request struct {
	Sides []int  `json:"sides,omitempty"`
	Op    *step  `json:"op,omitempty"`
	Setup *setup `json:"setup,omitempty"`
}

// call sends the request and returns a result for each side.
func (n *nodeSide) call(r request) ([]result, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if _, err := n.in.Write(append(line, '\n')); err != nil {
		return nil, n.ended(err)
	}
	var results []result
	if err := n.read(&results); err != nil {
		return nil, err
	}
	if len(results) != len(r.Sides) {
		return nil, fmt.Errorf("node: %d results for %d sides", len(results), len(r.Sides))
	}
	return results, nil
}

// read reads the next line that is JSON: clients print warnings now and then.
func (n *nodeSide) read(value any) error {
	for {
		line, err := n.out.ReadBytes('\n')
		if err != nil {
			return n.ended(err)
		}
		if json.Unmarshal(line, value) == nil {
			return nil
		}
	}
}

func (n *nodeSide) ended(err error) error {
	return fmt.Errorf("node: %w", errors.Join(err, errors.New(n.stderr.String())))
}
