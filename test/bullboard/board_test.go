package bullboard_test

import (
	"context"
	"strings"
	"testing"

	"github.com/taktwork/takt/core/domain"
)

func TestCheck73_BullBoardShowsTaktsJobsInEveryState(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	defer close(s.everyState())
	b := openBoard(t, s.redis, "mail")

	b.open("/")
	b.awaitText("main", "mail", "ACTIVE\n1", "WAITING\n1", "PRIORITIZED\n1", "COMPLETED\n1", "FAILED\n2", "DELAYED\n1", "7 Jobs")
	b.shot("overview")
	for state, want := range map[string][]string{
		"active":      {"hold", "by takt-1", `to:"cid"`},
		"waiting":     {"next", `to:"dee"`},
		"prioritized": {"vip", "priority 3", `to:"eve"`},
		"completed":   {"welcome", "by takt-1", "Finished at", `to:"ann"`, "sent:true", "40%"},
		"delayed":     {"later", "Will run at", `to:"fay"`},
		"failed":      {"broken", "Failed at", "Error: no such mailbox\nError: no such mailbox", "crash", "the stamp is gone"},
	} {
		b.open("/queue/mail?status=" + state)
		b.awaitText("main", want...)
		b.shot("state-" + state)
	}

	// A tab of a job each.
	b.open("/queue/mail/welcome?status=completed")
	b.click(`role=tab[name="Logs"]`)
	b.awaitText("main", "mailbox found", "letter written")
	b.shot("job-logs")
	b.click(`role=tab[name="Progress"]`)
	b.awaitText("main", "40")
	b.open("/queue/mail/broken?status=failed")
	b.click(`role=tab[name="Options"]`)
	b.awaitText("main", "attempts:2")
	b.open("/queue/mail/crash?status=failed")
	b.awaitText("main", "the stamp is gone", "goroutine ", "worker_test.go")
	b.shot("job-stack")
	b.wantNothingWrong()
}

func TestCheck73_BullBoardShowsTheTreeOfAFlow(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.flow()
	b := openBoard(t, s.redis, "orders")
	b.open("/queue/orders?status=waiting-children")
	b.awaitText("main", "order-7")
	// From the root, and from a child, whose root the board looks for.
	for _, page := range []string{"order-7?status=waiting-children", "pack-7?status=completed"} {
		b.open("/queue/orders/" + page)
		b.awaitText("main", "Job flow", "order-7", "pack-7", "bill-7", "1 done")
		tree := b.aria("main")
		for _, node := range []string{
			`"order, waiting-children, queue orders, id order-7"`, `"pack, completed, queue orders, id pack-7"`,
			`"bill, failed, queue orders, id bill-7"`, "Edge from orders:order-7 to orders:pack-7", "Edge from orders:order-7 to orders:bill-7",
		} {
			if !strings.Contains(tree, node) {
				t.Errorf("the tree on %s has no %s:\n%s", page, node, tree)
			}
		}
		b.shot("flow-" + strings.TrimRight(page[:5], "-"))
	}
	b.wantNothingWrong()
}

func TestCheck72_BullBoardSeesTaktsWorkers(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	b := openBoard(t, s.redis, "mail")
	s.add("next", `{}`, domain.JobOptions{Priority: 1})
	b.open("/")
	b.awaitText("main", "No workers")
	s.work("mail", nil)
	s.awaitWorker()
	b.open("/")
	if text := b.awaitText("main", "mail"); strings.Contains(text, "No workers") {
		t.Errorf("the board says that there are no workers:\n%s", text)
	}
	b.open("/queue/mail")
	b.click(`role=button[name="Queue info"]`)
	b.awaitText("role=dialog", "Workers\n1")
	b.click(`role=button[name="Connected workers"]`)
	b.awaitText("role=dialog", "takt-1")
	b.shot("workers")
	b.wantNothingWrong()
}

func TestBullBoard_ShowsSchedulersAndRunsThem(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	defer close(s.everyState())
	b := openBoard(t, s.redis, "mail")
	s.schedule("digest", "welcome")
	b.open("/job-schedulers")
	b.awaitText("main", "digest", "welcome", "every 1h")
	b.shot("schedulers")
	b.click(`role=button[name="Run now"]`)
	b.confirm()
	b.awaitJobs(s, domain.StateWait, "welcome", 2) // the scheduler's own, and this one
	b.click(`role=button[name="Remove scheduler"]`)
	b.confirm()
	b.awaitText("main", "No schedulers registered.")
	b.wantNothingWrong()
}

func TestCheck73_BullBoardsActionsWorkOnTaktsQueue(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	release := s.everyState()
	b := openBoard(t, s.redis, "mail")

	b.open("/queue/mail?status=delayed")
	b.job("later", "Promote")
	s.awaitState("later", domain.StateWait)

	b.open("/queue/mail?status=failed")
	b.job("broken", "Retry")
	s.awaitState("broken", domain.StateWait)

	b.open("/queue/mail?status=prioritized")
	b.job("vip", "Clean")
	s.awaitState("vip", "")

	b.menu("Pause")
	b.confirm()
	s.awaitPaused(true)
	b.open("/queue/mail")
	b.shot("paused")
	close(release)
	s.awaitState("hold", domain.StateCompleted)
	s.awaitState("next", domain.StateWait)
	b.menu("Resume")
	b.confirm()
	s.awaitPaused(false)
	s.awaitState("next", domain.StateCompleted)
	s.awaitState("later", domain.StateCompleted)
	s.awaitState("broken", domain.StateFailed)

	b.menu("Add job")
	b.addJob("new")
	b.awaitJobs(s, domain.StateCompleted, "new", 1)

	b.open("/queue/mail?status=failed")
	b.click(`role=button[name="Retry all"]`)
	b.confirm()
	s.awaitRetried("broken", 4)
	// The board spares what has ended within five seconds.
	s.age("welcome", "later")
	b.open("/queue/mail?status=completed")
	b.awaitText("main", "new", "later", "welcome")
	b.shot("after")
	b.click(`role=button[name="Clean all"]`)
	b.confirm()
	s.awaitState("welcome", "")
	s.awaitState("later", "")

	s.add("much-later", `{}`, domain.JobOptions{Delay: hour})
	b.open("/queue/mail?status=delayed")
	b.awaitText("main", "much-later")
	b.click(`role=button[name="Promote all"]`)
	b.confirm()
	s.awaitState("much-later", domain.StateParked) // no handler knows it
	b.wantNothingWrong()
}

// jobsNamed returns how many jobs of the state have the name.
func (s *shop) jobsNamed(ctx context.Context, state domain.State, name string) int {
	jobs, err := s.backend.Jobs(ctx, "mail", domain.JobFilter{State: state})
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for i := range jobs {
		if jobs[i].Job.Name == name {
			n++
		}
	}
	return n
}
