package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/schedule"
)

const (
	// lateFrom is how late a run must begin to have run late.
	lateFrom = time.Second
	// settling is how long after a tick its decision may not be written yet.
	settling = 2 * time.Second
)

// explainer makes an answer of a question and the evidence.
type explainer struct {
	q      *Question
	e      *Evidence
	valid  definition
	answer Answer
}

// Explain answers the question by the evidence. It is a pure function; all that
// the history does not know is left open in the answer.
func Explain(q Question, e *Evidence) Answer {
	if q.Zone == nil {
		q.Zone = time.UTC
	}
	x := &explainer{q: &q, e: e, valid: e.valid(&q)}
	x.answer = Answer{Job: q.Job, At: q.At.In(q.Zone)}
	if note := clockNote(x.valid.schedule, q.At); note != "" {
		x.add(Cause{Code: CodeClockChange, At: q.At, Text: note})
	}
	ticks, backfills := x.runs()
	if len(ticks) > 0 {
		x.story(ticks)
	} else {
		x.silence()
	}
	for _, run := range backfills {
		x.backfill(run)
	}
	return x.answer
}

// runs parts the records about the tick into those of the tick itself and those
// of each of its backfills.
func (x *explainer) runs() (ticks []domain.Record, backfills [][]domain.Record) {
	places := map[domain.RunKey]int{}
	for _, record := range x.e.Tick {
		if record.Run.Origin == domain.OriginSchedule {
			ticks = append(ticks, record)
			continue
		}
		place, ok := places[record.Run]
		if !ok {
			place = len(backfills)
			places[record.Run] = place
			backfills = append(backfills, nil)
		}
		backfills[place] = append(backfills[place], record)
	}
	return ticks, backfills
}

func (x *explainer) add(causes ...Cause) { x.answer.Causes = append(x.answer.Causes, causes...) }

// conclude gives the answer.
func (x *explainer) conclude(code Code, format string, args ...any) {
	x.answer.Code = code
	x.answer.Summary = fmt.Sprintf("%s of %s ", x.q.Job, x.clock(x.q.At)) + fmt.Sprintf(format, args...)
}

// clock shows an instant in the zone of the question.
func (x *explainer) clock(at time.Time) string { return clock(at.In(x.q.Zone)) }

// backfill adds what became of a backfill of the tick.
func (x *explainer) backfill(records []domain.Record) {
	first := &records[0]
	x.add(Cause{
		Code: Code(domain.OriginBackfill), At: first.At, Replica: first.Replica, By: first.Run.String(),
		Text: fmt.Sprintf("the backfill %s ran the tick again", domain.Quote(first.Run.OriginID)),
	})
	for i := range records {
		x.add(x.tell(&records[i]))
	}
}

// silence answers when nothing was decided about the tick, or nothing is
// recorded of it. What comes first rules out what follows.
func (x *explainer) silence() {
	switch {
	case x.notPlanned():
	case x.q.At.After(x.q.Now):
		x.notDue()
	case x.valid.disabled:
		x.disabled()
	case x.e.Off:
		x.conclude(CodeNotKept, "can not be explained: no history is kept")
	case x.unregistered():
	case !x.e.Reaches && x.q.Known.Replica == "":
		x.notKept()
	case x.down():
	case x.q.Now.Sub(x.q.At) < settling:
		x.conclude(CodeNotDue, "was due a moment ago: what became of it is not written yet")
	case !x.e.paused().IsZero():
		x.pausedSince()
		x.conclude(CodePaused, "did not run: the job was paused")
	case x.elsewhere():
	case !x.e.Reaches:
		x.notKept()
	default:
		x.conclude(CodeUnknown, "was planned, and a worker lived, but no decision is recorded: the record is lost "+
			`(the log says "run records not stored"), or the ledger has not answered since`)
	}
}

// notPlanned answers for an instant that the valid definition does not plan.
func (x *explainer) notPlanned() bool {
	if !x.valid.known || plans(x.valid.schedule, x.q.At) {
		return false
	}
	other, later, found := x.e.other(x.q, x.valid)
	first, again := firstPass(x.valid.schedule, x.q.At)
	switch {
	case again:
		x.add(Cause{Code: CodeClockChange, At: x.q.At, Text: fmt.Sprintf(
			"the clocks show %s a second time then; the job ran the first time only, at %s",
			x.q.At.In(zoneOf(x.valid.schedule)).Format(time.TimeOnly), x.clock(first))})
		x.answer.Before = first
		x.conclude(CodeClockChange, "is not planned: the local time comes twice, and the job runs the first time only")
	case found:
		x.superseded(other, later)
	default:
		x.nearest()
		if x.valid.schedule == nil {
			x.conclude(CodeNotPlanned, "is not planned: the job has no schedule, it runs when it is triggered")
			return true
		}
		x.conclude(CodeNotPlanned, "is not planned: the schedule is %s", x.valid.text)
	}
	return true
}

func zoneOf(s schedule.Schedule) *time.Location {
	if cron, ok := s.(*schedule.Cron); ok {
		return cron.Location()
	}
	return time.UTC
}

// nearest sets the planned instants around the one that is not planned.
func (x *explainer) nearest() {
	if x.valid.schedule == nil {
		return
	}
	const reach = 5 * 366 * 24 * time.Hour
	x.answer.Before = schedule.Latest(x.valid.schedule, x.q.At.Add(-reach), x.q.At)
	x.answer.After = x.valid.schedule.Next(x.q.At)
}

// superseded answers for a tick of a definition that was not the valid one.
func (x *explainer) superseded(other definition, later bool) {
	x.nearest()
	if later {
		since := "is known to this program"
		if !other.since.IsZero() {
			since = fmt.Sprintf("was registered at %s by %s", x.clock(other.since), other.replica)
		}
		x.add(Cause{
			Code: CodeSuperseded, At: other.since, Replica: other.replica,
			Text: fmt.Sprintf("the definition that plans it, %s, %s; until then %s was valid", other.text, since, orManual(x.valid.text)),
		})
		x.conclude(CodeSuperseded, "was not planned: the schedule was another one then")
		return
	}
	x.add(Cause{
		Code: CodeSuperseded, At: x.valid.since, Replica: x.valid.replica,
		Text: fmt.Sprintf("the definition that plans it, %s, was superseded at %s, when %s registered %s",
			other.text, x.clock(x.valid.since), x.valid.replica, orManual(x.valid.text)),
	})
	x.conclude(CodeSuperseded, "was not planned: another definition of the job was valid by then")
}

func orManual(text string) string {
	if text == "" {
		return "a definition without schedule"
	}
	return text
}

func (x *explainer) notDue() {
	if !x.e.paused().IsZero() {
		x.pausedSince()
	}
	if x.valid.disabled {
		x.add(x.disabledCause())
	}
	x.conclude(CodeNotDue, "is not due yet: it is planned in %s", x.q.At.Sub(x.q.Now).Round(time.Second))
}

func (x *explainer) disabled() {
	x.add(x.disabledCause())
	x.conclude(CodeDisabled, "did not run: the job was disabled")
}

func (x *explainer) disabledCause() Cause {
	if x.valid.since.IsZero() {
		return Cause{Code: CodeDisabled, Text: "the job is registered as disabled"}
	}
	return Cause{
		Code: CodeDisabled, At: x.valid.since, Replica: x.valid.replica,
		Text: fmt.Sprintf("%s registered the job as disabled at %s", x.valid.replica, x.clock(x.valid.since)),
	}
}

// unregistered answers for a tick before the job was first registered.
func (x *explainer) unregistered() bool {
	if len(x.e.Definitions) > 0 || len(x.e.Later) == 0 || !x.e.Reaches {
		return false
	}
	first := &x.e.Later[0]
	x.add(Cause{
		Code: CodeUnregistered, At: first.At, Replica: first.Replica,
		Text: fmt.Sprintf("the job was first registered at %s, by %s", x.clock(first.At), first.Replica),
	})
	x.conclude(CodeUnregistered, "did not run: the job was not registered yet")
	return true
}

func (x *explainer) notKept() {
	if x.e.Begins.IsZero() {
		x.conclude(CodeNotKept, "can not be explained: the history is empty")
		return
	}
	x.conclude(CodeNotKept, "can not be explained: the history begins at %s; what was before it has been removed or was never kept", x.clock(x.e.Begins))
}

// down answers for a tick at which no replica lived and that was not caught up.
func (x *explainer) down() bool {
	o, down := x.e.outage(x.q.At, x.q.Now)
	if !down {
		return false
	}
	x.add(o.cause(x))
	if !x.e.paused().IsZero() {
		x.pausedSince()
	}
	if o.until.IsZero() {
		x.conclude(CodeDown, "has not run: no worker has lived since; the first one to start decides about it by the misfire policy")
		return true
	}
	x.conclude(CodeDown, "did not run: no worker lived, and the ledger of those that came after did not know of it")
	return true
}

func (x *explainer) pausedSince() {
	since := x.e.paused()
	x.add(Cause{Code: CodePaused, At: since, Text: "the job was paused at " + x.clock(since)})
}

// elsewhere answers, for the records of one worker alone, that another one must
// have decided about the tick.
func (x *explainer) elsewhere() bool {
	known := &x.q.Known
	if known.Replica == "" || !known.Shared || known.Next.IsZero() || !known.Next.After(x.q.At) {
		return false
	}
	x.add(Cause{
		Code: CodeElsewhere, Replica: known.Replica,
		Text: fmt.Sprintf("the ledger has passed the tick, and %s did not decide about it; each replica keeps its own records only, so ask the others", known.Replica),
	})
	x.conclude(CodeElsewhere, "was claimed by another replica than %s", known.Replica)
	return true
}

// records of the replica that the question is about.
func by(replica string, records []domain.Record) bool {
	return slices.ContainsFunc(records, func(r domain.Record) bool { return r.Replica == replica })
}
