package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// BenchmarkThePackagedWorker measures what docs/deploy.md says of sizes: from exec to ready, and memory, in the image's own
// tree, with Redis and Postgres over TLS. `go test -run '^$' -bench . -benchtime 10x` prints it.
func BenchmarkThePackagedWorker(b *testing.B) {
	authority := redistest.NewAuthority(b)
	server := redistest.StartTLS(b, authority, []string{"127.0.0.1"}, aclOf(b, "s3cret")...)
	f := newFleet(b, authority, server, startPostgres(b, authority))
	var took time.Duration
	var idle, loaded float64
	for b.Loop() {
		s := spec{Root: f.root, State: emptyDir(b), Mounts: f.mounts, Env: f.environ, Args: []string{"run"}}
		began := time.Now()
		p := s.start(b)
		p.says(b, "worker ready")
		took += time.Since(began)
		p.says(b, "Worker heartbeat processed at ")
		idle += resident(b, p.cmd.Process.Pid, "VmRSS")
		f.load(b, s, p)
		loaded += resident(b, p.cmd.Process.Pid, "VmHWM")
		p.terminate(b)
		p.exits(b, 0, patience)
	}
	runs := float64(b.N)
	b.ReportMetric(float64(took.Milliseconds())/runs, "ms-to-ready")
	b.ReportMetric(idle/runs, "MiB-idle")
	b.ReportMetric(loaded/runs, "MiB-peak")
	b.ReportMetric(0, "ns/op")
}

// load has the worker do 500 jobs of 200 KiB, ten at a time.
func (f *fleet) load(b *testing.B, s spec, p *pod) {
	b.Helper()
	const jobs, batch = 500, 50
	payload := strings.Repeat("x", 200<<10)
	before := len(p.stderr.entries("stream job done"))
	for range jobs / batch {
		var lines strings.Builder
		for range batch {
			fmt.Fprintf(&lines, `{"queue":"stream","name":"stream.work","data":{"ms":5,"payload":%q}}`+"\n", payload)
		}
		s.ask(b, lines.String(), "enqueue", "-").want(b, 0)
	}
	await(b, "the jobs", func() bool { return len(p.stderr.entries("stream job done"))-before >= jobs })
}

var memoryLine = regexp.MustCompile(`(?m)^(Vm\w+):\s+(\d+) kB$`)

// resident reads a process's memory in MiB.
func resident(b *testing.B, pid int, what string) float64 {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for _, match := range memoryLine.FindAllStringSubmatch(string(text), -1) {
		if match[1] == what {
			kib, _ := strconv.Atoi(match[2])
			return float64(kib) / 1024
		}
	}
	b.Fatalf("the process has no %s", what)
	return 0
}
