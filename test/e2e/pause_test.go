package e2e_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

const heartbeat = "worker.heartbeat.scheduler"

func TestAJobIsPausedWithAndWithoutAWorker(t *testing.T) {
	t.Parallel()
	redis := "REDIS_URL=" + redistest.Start(t).URL(0)
	for name, env := range map[string][]string{"sqlite": nil, "redis": {"REDIS_ENABLED=true", redis}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, beating("* * * * * *", env...)...)
			h.ask(t, workerBin, "jobs", "pause", heartbeat).want(t, 65, "unknown scheduled job")
			r := h.start(t, workerBin, "run")
			r.ready(t)
			h.ask(t, workerBin, "jobs", "pause", heartbeat).want(t, 0, heartbeat+" is paused")
			h.askUntil(t, "paused", workerBin, "jobs")
			r.signal(t, os.Interrupt)
			r.exit(t, 0)

			h.ask(t, workerBin, "jobs", "resume", heartbeat, "--json").want(t, 0, `"paused": false`)
			h.ask(t, workerBin, "jobs", "pause", heartbeat).want(t, 0, heartbeat+" is paused")
			h.ask(t, workerBin, "jobs", "pause", "nope").want(t, 65, `unknown scheduled job "nope"`)
			r = h.start(t, workerBin, "run")
			r.ready(t)
			h.askUntil(t, "paused", workerBin, "jobs")
			h.ask(t, workerBin, "jobs", "resume", heartbeat).want(t, 0, heartbeat+" ticks")
			r.waitFor(t, "Worker heartbeat processed at ")
			r.signal(t, os.Interrupt)
			r.exit(t, 0)
		})
	}
}

// No tick of a time for which the job was paused runs on any of the workers, from
// the moment on in which the command is over.
func TestAPauseHoldsOnAllWorkersOfADatabase(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"postgres": onPostgres(t, pgtest.Database(t)),
		"sqlite":   {"WORKER_DB_PATH=" + filepath.Join(t.TempDir(), "worker.db")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := newTickFile(t)
			env := append(env, "TICK_RECORDS="+string(file))
			hosts, workers := map[string]*host{}, map[string]*running{}
			for _, instance := range []string{"blue", "green"} {
				hosts[instance] = newHost(t, append(env, "WORKER_INSTANCE="+instance)...)
				workers[instance] = hosts[instance].start(t, slowBin, "run")
				workers[instance].ready(t)
			}
			file.waitFor(t, "ticks.second", atLeast(2))
			hosts["blue"].ask(t, slowBin, "jobs", "pause", "ticks.second").want(t, 0, "ticks.second is paused")
			paused := time.Now()
			for _, h := range hosts {
				h.askUntil(t, "paused", slowBin, "jobs")
			}
			<-time.After(time.Until(paused.Add(2500 * time.Millisecond)))
			before := time.Now()
			hosts["green"].ask(t, slowBin, "jobs", "resume", "ticks.second").want(t, 0, "ticks.second ticks")
			file.waitFor(t, "ticks.second", func(all []ticked) bool { return all[len(all)-1].planned.After(before) })
			for _, tick := range file.of(t, "ticks.second") {
				if tick.planned.After(paused) && tick.planned.Before(before) {
					t.Errorf("%+v ran, want none from %s to %s", tick, paused, before)
				}
			}
			for _, r := range workers {
				r.signal(t, os.Interrupt)
				r.exit(t, 0)
			}
		})
	}
}

func TestAPauseInMemoryNeedsTheWorker(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_LEDGER=memory", "WORKER_HEARTBEAT_ENABLED=true")
	h.ask(t, workerBin, "jobs", "pause", heartbeat).want(t, 69, "claims are in the memory of the workers", "no running worker")
}

func TestABackfillIsRepeatedUnderItsID(t *testing.T) {
	t.Parallel()
	to := time.Now().UTC().Truncate(time.Minute)
	// Its ticks are over for an hour.
	minutes := make([]string, 4)
	for ago := range minutes {
		minutes[ago] = strconv.Itoa(to.Add(-time.Duration(ago) * time.Minute).Minute())
	}
	h := newHost(t, beating("0 "+strings.Join(minutes, ",")+" * * * *")...)
	words := []string{"jobs", "backfill", heartbeat, "--from", to.Add(-3 * time.Minute).Format(time.RFC3339), "--to", to.Format(time.RFC3339), "--id", "gap"}
	h.ask(t, workerBin, words...).want(t, 69, "no running worker")
	for range 2 {
		r := h.start(t, workerBin, "run")
		r.ready(t)
		got := h.ask(t, workerBin, words...)
		got.want(t, 0, "backfill gap of "+heartbeat+": 3 done, 0 failed, 0 skipped or unfinished")
		if lines := strings.Count(got.stdout, "\n"); lines != 3 {
			t.Errorf("%d lines, want one for each tick:\n%s", lines, got.stdout)
		}
		r.signal(t, os.Interrupt)
		r.exit(t, 0)
	}
	// The second time the ledger knew that they had been run.
	r := h.start(t, workerBin, "run")
	r.ready(t)
	h.ask(t, workerBin, words...).want(t, 0, "skipped: taken")
}
