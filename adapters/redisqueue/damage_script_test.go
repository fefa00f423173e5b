package redisqueue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// A scene is a sound state of a queue in which a call runs one script.
type scene struct {
	// prepare makes the state, call makes the call.
	prepare func(s *stage)
	call    func(ctx context.Context, s *stage) error
	// except are keys, by their ends, for which the rule does not hold, and why.
	except map[string]string
}

// stage is where scenes are played.
type stage struct {
	*rawQueue

	worker ports.Consumer
	ledger *redisqueue.Ledger
	lease  domain.Lease
	claims []domain.Claim
	cursor time.Time
}

// common are jobs in all states, two of them a parent and its child, and a
// scheduler.
func common(s *stage) {
	s.add(domain.JobOptions{ID: "a"})
	s.lease = reserve(s, s.worker, 1)[0]
	s.add(domain.JobOptions{ID: "b"})
	s.add(domain.JobOptions{ID: "c", Priority: 2})
	s.add(domain.JobOptions{ID: "d", Delay: time.Hour, Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupReplace}})
	s.parent("p")
	s.child("e", "p")
	s.do("ZADD bull:q:delayed 9e15 e", "HSET bull:q:f name n data {} opts {} timestamp 1 atm 1 finishedOn 1", "ZADD bull:q:failed 1 f",
		"HSET bull:q:g name n data {} opts {} timestamp 1 atm 1 finishedOn 1 returnvalue 1", "ZADD bull:q:completed 1 g", "RPUSH bull:q:f:logs line",
		"HSET bull:q:o name n timestamp 1")
	s.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour})
}

func withLedger(s *stage) {
	s.cursor = syncLedger(s, s.ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")}).Jobs[0].Cursor
	s.claims = claimsOf(claimAll(s, s.ledger, byHand("job-00000", "1")))
}

// queueScene is a scene of a call that only fails.
func queueScene(call func(ctx context.Context, s *stage, q *redisqueue.Queue) error) scene {
	return scene{prepare: common, call: func(ctx context.Context, s *stage) error { return call(ctx, s, s.queue()) }}
}

func ledgerScene(call func(ctx context.Context, s *stage) error) scene {
	return scene{prepare: withLedger, call: call}
}

// scenes has one for each script but those that cannot meet damage.
func scenes() map[string]scene {
	all := map[string]scene{
		"annotate": {prepare: common, call: func(ctx context.Context, s *stage) error {
			_, err := s.worker.Annotate(ctx, []domain.Note{{Lease: s.lease.Ref(), Progress: []byte("1"), Data: []byte("2"), Log: []string{"line"}}})
			return err
		}},
		"continue": {prepare: common, call: func(ctx context.Context, s *stage) error {
			planned := s.rdb.ZScore(ctx, "bull:q:repeat", "s").Val()
			_, err := redisqueue.CallScript(ctx, s.backend, "continue", []string{"bull:q:meta", "bull:q:repeat"}, "bull:q:", "v5", "s",
				fmt.Sprintf("repeat:s:%.0f", planned), "", "s", "{", "{}", 1)
			return err
		}},
		"dispatch": {
			prepare: withLedger,
			call: func(ctx context.Context, s *stage) error {
				dispatch := dispatchOf(s.claims[0])
				dispatch.Job.Queue, dispatch.Job.Options.Deduplication, dispatch.Job.Options.Priority = "q", domain.Deduplication{Key: "k"}, 1
				results, err := s.backend.Dispatcher().Dispatch(ctx, []domain.Dispatch{dispatch})
				if err == nil {
					err = results[0].Err
				}
				return err
			},
			except: map[string]string{":ledger": "the ledger's keys are Takt's own"},
		},
		"enqueue": {prepare: common, call: func(ctx context.Context, s *stage) error {
			_, err := s.backend.Enqueue(ctx, mixed()...)
			return err
		}},
		"extend": {prepare: common, call: func(ctx context.Context, s *stage) error {
			_, err := s.worker.Extend(ctx, []domain.LeaseRef{s.lease.Ref()})
			return err
		}},
		"move": {prepare: common, call: func(ctx context.Context, s *stage) error {
			_, err := s.worker.Settle(ctx, []domain.Settlement{{Lease: s.lease.Ref(), Outcome: domain.Outcome{Kind: domain.Failed, Reason: "no"}}}, 1)
			return err
		}},
		"recover": {
			prepare: func(s *stage) { common(s); s.do("DEL bull:q:a:lock", "SADD bull:q:stalled a") },
			call:    func(ctx context.Context, s *stage) error { _, err := s.worker.Recover(ctx); return err },
		},
		"unpark": {
			prepare: func(s *stage) { common(s); s.do("HSET takt:{bull}:default:parked:q d n") },
			call: func(ctx context.Context, s *stage) error {
				_, err := redisqueue.CallScript(ctx, s.backend, "unpark", []string{"bull:q:meta", "takt:{bull}:default:parked:q"}, "bull:q:", "v5", "d")
				return err
			},
		},
		"flow_add": {prepare: common, call: func(ctx context.Context, s *stage) error {
			child := redisqueue.FlowNode{Queue: "q", Name: "n", Options: domain.JobOptions{ID: "y"}}
			_, err := s.backend.AddFlow(ctx, redisqueue.FlowNode{Queue: "q", Name: "n", Options: domain.JobOptions{ID: "x"}, Children: []redisqueue.FlowNode{child}})
			return err
		}, except: map[string]string{"bull:q:y": "each job of a flow has an answer of its own"}},
		"inspect_counts": {prepare: common, call: func(ctx context.Context, s *stage) error { _, err := s.backend.Counts(ctx, "q"); return err }},
		"limit_change": {prepare: common, call: func(ctx context.Context, s *stage) error {
			return s.backend.LimitRate(ctx, "q", domain.Rate{Max: 5, Per: time.Second})
		}},
		"operate_remove": {prepare: common, call: func(ctx context.Context, s *stage) error {
			_, err := s.backend.Apply(ctx, "q", domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{"e"}})
			return err
		}},
		"operate_delete": {
			prepare: common,
			call: func(ctx context.Context, s *stage) error {
				return s.queue().Remove(ctx, "e", redisqueue.RemoveOptions{})
			},
			except: map[string]string{"e:lock": "a lock of any kind is one"},
		},
		"operate_obliterate": {
			prepare: func(s *stage) { common(s); s.do("HSET bull:q:meta paused 1", "RENAME bull:q:wait bull:q:paused") },
			call: func(ctx context.Context, s *stage) error {
				_, err := s.queue().Obliterate(ctx, redisqueue.ObliterateOptions{Force: true})
				return err
			},
		},
	}
	for name, call := range queueCalls() {
		all[name] = queueScene(call)
	}
	for name, call := range ledgerCalls() {
		all[name] = ledgerScene(call)
	}
	return all
}

func queueCalls() map[string]func(ctx context.Context, s *stage, q *redisqueue.Queue) error {
	return map[string]func(ctx context.Context, s *stage, q *redisqueue.Queue) error{
		"dedup_free": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.FreeDeduplicationOf(ctx, "d")
			return err
		},
		"events_ends": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error { _, err := q.LastEvent(ctx); return err },
		"events_finished": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.WaitUntilFinished(ctx, "g")
			return err
		},
		"events_publish": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.PublishEvent(ctx, "mine", map[string]string{"a": "b"})
			return err
		},
		"flow_children": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.DependenciesCount(ctx, "p")
			return err
		},
		"flow_prune": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RemoveUnprocessedChildren(ctx, "p")
			return err
		},
		"flow_unlink": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RemoveChildLink(ctx, "e")
			return err
		},
		"inspect_jobs": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.Jobs(ctx, redisqueue.JobQuery{States: []domain.State{domain.StateWait, domain.StateFailed, domain.StateDelayed}})
			return err
		},
		"inspect_lengths": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error { _, err := q.Counts(ctx); return err },
		"limit_read": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RateLimitTTL(ctx, 1)
			return err
		},
		"operate_again": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			return q.Retry(ctx, "f", redisqueue.RetryOptions{})
		},
		"operate_cleaned": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.Clean(ctx, redisqueue.CleanOptions{State: domain.StateCompleted})
			return err
		},
		"operate_delay": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			return q.ChangeDelay(ctx, "d", time.Minute)
		},
		"operate_log": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.AddLog(ctx, "f", "line", 5)
			return err
		},
		"operate_orphans": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RemoveOrphans(ctx, redisqueue.Bulk{})
			return err
		},
		"operate_pause": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error { return q.Pause(ctx) },
		"operate_priority": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			return q.ChangePriority(ctx, "b", redisqueue.PriorityChange{Priority: 3})
		},
		"operate_purge": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.Drain(ctx, redisqueue.DrainOptions{Delayed: true})
			return err
		},
		"operate_revive": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RetryAll(ctx, redisqueue.RetryAllOptions{})
			return err
		},
		"operate_write": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			return q.UpdateProgress(ctx, "b", []byte("1"))
		},
		"scheduler_read": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.Scheduler(ctx, "s")
			return err
		},
		"scheduler_remove": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.RemoveScheduler(ctx, "s")
			return err
		},
		"scheduler_upsert": func(ctx context.Context, _ *stage, q *redisqueue.Queue) error {
			_, err := q.UpsertScheduler(ctx, redisqueue.Scheduler{ID: "s", Every: time.Minute})
			return err
		},
	}
}

func ledgerCalls() map[string]func(ctx context.Context, s *stage) error {
	return map[string]func(ctx context.Context, s *stage) error{
		"ledger_abandoned": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Abandoned(ctx, "bob", time.Minute, 5)
			return err
		},
		"ledger_claim": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Claim(ctx, []domain.Intent{byHand("job-00001", "2")})
			return err
		},
		"ledger_finish": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Finish(ctx, []domain.RunResult{{Claim: s.claims[0].Ref(), End: domain.EndFinished}})
			return err
		},
		"ledger_register": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "bob", Definitions: manyDefinitions(3, "v2")})
			return err
		},
		"ledger_renew": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Renew(ctx, []domain.ClaimRef{s.claims[0].Ref()}, time.Minute)
			return err
		},
		"ledger_switch": func(ctx context.Context, s *stage) error { return s.ledger.PauseJob(ctx, "job-00000") },
		"ledger_sync": func(ctx context.Context, s *stage) error {
			_, err := s.ledger.Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(2, "v1")})
			return err
		},
	}
}

// soundScripts are those that need no scene.
var soundScripts = map[string]string{
	"probe": "writes to one key of its own", "damage": "reads types alone", "survey_rights": "reaches no key",
}

// TestEveryScriptMeetsDamage puts something else in the place of each key that
// each script reaches. The call goes through all the same, or it fails, names
// the key and leaves everything else as it was, as often as it is made. When the
// key is mended, it goes through.
func TestEveryScriptMeetsDamage(t *testing.T) {
	t.Parallel()
	scripts, err := redisqueue.Scripts()
	if err != nil {
		t.Fatalf("Scripts = %v, want them", err)
	}
	all := scenes()
	for _, script := range scripts {
		scene, has := all[script.Name]
		if !has {
			if soundScripts[script.Name] == "" {
				t.Errorf("script %s has no scene", script.Name)
			}
			continue
		}
		t.Run(script.Name, func(t *testing.T) {
			t.Parallel()
			playScene(t, scene)
		})
	}
}

func playScene(t *testing.T, scene scene) {
	t.Helper()
	r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Millisecond })
	s := &stage{rawQueue: r, worker: r.consumer(), ledger: r.backend.Ledger()}
	scene.prepare(s)
	types := map[string]string{}
	for _, key := range reached(t, s, scene) {
		types[key] = ""
	}
	s.reset(scene)
	for key := range types {
		types[key] = r.rdb.Type(t.Context(), key).Val()
	}
	if len(types) == 0 {
		t.Fatal("the script reaches no key, want some")
	}
	for _, key := range sortedKeys(types) {
		for kind, spoil := range map[string][]any{"list": {"RPUSH", key, "x"}, "string": {"SET", key, "x"}} {
			if kind == types[key] && kind != "string" {
				continue
			}
			t.Run(key+" as "+kind, func(t *testing.T) {
				s.TB = t
				s.reset(scene)
				s.meetDamage(t, scene, key, spoil)
			})
		}
	}
	s.TB = t
}

func (s *stage) reset(scene scene) {
	s.Helper()
	s.do("FLUSHALL")
	scene.prepare(s)
}

// meetDamage spoils the key and makes the call.
func (s *stage) meetDamage(t *testing.T, scene scene, key string, spoil []any) {
	t.Helper()
	for end, why := range scene.except {
		if why != "" && strings.Contains(key, end) {
			return
		}
	}
	held, _ := s.rdb.Dump(t.Context(), key).Result()
	s.do("DEL " + key)
	if err := s.rdb.Do(t.Context(), spoil...).Err(); err != nil {
		t.Fatalf("%v = %v, want no error", spoil, err)
	}
	for range 2 {
		before := s.dump()
		err := s.make(t, scene)
		if err == nil {
			return
		}
		if !regexp.MustCompile(`(^|[ (])` + regexp.QuoteMeta(key) + `\b`).MatchString(err.Error()) {
			t.Errorf("the call = %v, want an error that names %s", err, key)
		}
		s.wantTouched(before, s.dump(), "takt:{bull}:default:session:")
	}
	s.do("DEL " + key)
	if held != "" {
		if err := s.rdb.Restore(t.Context(), key, 0, held).Err(); err != nil {
			t.Fatalf("RESTORE %s = %v, want no error", key, err)
		}
	}
	if err := s.make(t, scene); err != nil {
		t.Errorf("the call = %v when the key is mended, want no error", err)
	}
}

// make makes the call, which must not wait. That a job is not there, or not
// where it was, is an answer.
func (s *stage) make(t *testing.T, scene scene) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := scene.call(ctx, s)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ports.ErrUnavailable) {
		t.Fatalf("the call = %v, want an answer", err)
	}
	if errors.Is(err, ports.ErrNotFound) || errors.Is(err, ports.ErrClosed) {
		return nil
	}
	return err
}

// monitored matches an argument of a command that MONITOR tells.
var monitored = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// reached returns the keys that scripts reach during the call.
func reached(t *testing.T, s *stage, scene scene) []string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.server.Addr)
	if err != nil {
		t.Fatalf("Dial = %v, want a connection", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatalf("MONITOR = %v, want no error", err)
	}
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatalf("MONITOR = %q, %v, want OK", line, err)
	}
	if err := s.make(t, scene); err != nil {
		t.Fatalf("the call of a sound queue = %v, want no error", err)
	}
	s.do("ECHO over")
	var keys []string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("MONITOR = %v, want more", err)
		}
		if strings.Contains(line, `"over"`) {
			return keys
		}
		if !strings.Contains(line, " lua]") {
			continue
		}
		for _, match := range monitored.FindAllStringSubmatch(line, -1)[1:] {
			key := match[1]
			own := strings.HasPrefix(key, "bull:") || strings.HasPrefix(key, "takt:")
			if own && !strings.ContainsAny(key, " \\") && !strings.Contains(key, ":session:") && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
}
