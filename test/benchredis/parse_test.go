package main_test

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	benchredis "github.com/taktwork/takt/test/benchredis"
)

func TestCallsAreCountedButNotOurOwnQuestions(t *testing.T) {
	commands := map[string]string{
		"cmdstat_info":    "calls=100,usec=5000,usec_per_call=50.00,rejected_calls=0,failed_calls=0",
		"cmdstat_evalsha": "calls=3,usec=900,usec_per_call=300.00,rejected_calls=0,failed_calls=0",
		"cmdstat_hset":    "calls=40,usec=80,usec_per_call=2.00,rejected_calls=0,failed_calls=0",
	}
	cpu := map[string]string{"used_cpu_user": "1.250000", "used_cpu_sys": "0.500000", "used_cpu_user_children": "9.0"}
	calls, seconds, err := benchredis.ParseUsage(commands, cpu)
	if err != nil || calls != 43 || seconds != 1.75 {
		t.Errorf("ParseUsage = %d calls, %v s, %v, want 43 calls, 1.75 s", calls, seconds, err)
	}
}

func TestUsageThatCannotBeReadIsAnError(t *testing.T) {
	cpu := map[string]string{"used_cpu_user": "1", "used_cpu_sys": "1"}
	for _, c := range []struct{ commands, cpu map[string]string }{
		{map[string]string{"cmdstat_get": "usec=5"}, cpu},
		{map[string]string{"cmdstat_get": "calls=many"}, cpu},
		{nil, map[string]string{"used_cpu_user": "1"}},
	} {
		if calls, seconds, err := benchredis.ParseUsage(c.commands, c.cpu); err == nil {
			t.Errorf("ParseUsage(%v, %v) = %d, %v, want an error", c.commands, c.cpu, calls, seconds)
		}
	}
}

func TestCommandsOfScriptsAreNotRoundTrips(t *testing.T) {
	for line, want := range map[string]bool{
		`+1700000000.123456 [0 127.0.0.1:50000] "BZPOPMIN" "bull:bench:marker" "2"`: true,
		`+1700000000.123456 [0 unix:/tmp/redis.sock] "PING"`:                        true,
		`+1700000000.123456 [0 lua] "ZCARD" "bull:bench:wait"`:                      false,
		`+OK`: false,
		``:    false,
	} {
		if got := benchredis.SentByClient(line); got != want {
			t.Errorf("SentByClient(%q) = %t, want %t", line, got, want)
		}
	}
}

func TestInstructionsAreReadFromADumpOfCallgrind(t *testing.T) {
	dump := "# callgrind format\nevents: Ir\nsummary: 97697\n\nfn=(1) main\n0 5\n\ntotals: 128905\n"
	if got, err := benchredis.ParseTotals(dump); err != nil || got != 128905 {
		t.Errorf("ParseTotals = %v, %v, want 128905", got, err)
	}
	for _, bad := range []string{"", "summary: 5\n", "totals: many\n"} {
		if got, err := benchredis.ParseTotals(bad); err == nil {
			t.Errorf("ParseTotals(%q) = %v, want an error", bad, got)
		}
	}
}

func TestPayloadsHaveTheirSizeWhateverTheTime(t *testing.T) {
	for _, at := range []int64{0, 1, 1234567890123456} {
		data := benchredis.NewPayload(200, at)
		var read struct{ At int64 }
		if err := json.Unmarshal(data, &read); err != nil || len(data) != 200 || read.At != at {
			t.Errorf("payload of %d = %s (%d bytes), %v, want 200 bytes with it", at, data, len(data), err)
		}
	}
}

func TestRowsAreSelectedByNameAndTheBacklogFollowsTheJobs(t *testing.T) {
	names, backlog, err := benchredis.RowsOf("-run", "^process", "-jobs", "20000")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"process-100", "process-1"}, names); diff != "" || backlog != 200_000 {
		t.Errorf("backlog %d, want 200000; rows (-want +got):\n%s", backlog, diff)
	}
}

func TestOptionsThatMakeNoSenseAreExitCode2(t *testing.T) {
	for _, args := range [][]string{{"-run", "("}, {"-jobs", "10"}, {"-rounds", "0"}, {"-what"}} {
		if got := benchredis.Run(t.Context(), args, io.Discard, io.Discard); got != 2 {
			t.Errorf("exit code of %v = %d, want 2", args, got)
		}
	}
	if got := benchredis.Run(t.Context(), []string{"-bullmq", "nowhere"}, io.Discard, io.Discard); got != 1 {
		t.Errorf("exit code without BullMQ = %d, want 1", got)
	}
}
