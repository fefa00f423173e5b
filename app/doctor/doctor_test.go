package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/app/doctor"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/schedule"
)

// expected is a finding: its text is somewhere in what was found or in what to
// do.
type expected struct {
	check  string
	status doctor.Status
	text   string
}

// wantFindings checks that the findings are those, apart from what is well and not
// named.
func wantFindings(t *testing.T, about string, found []doctor.Finding, wanted ...expected) {
	t.Helper()
	left := append([]expected{}, wanted...)
	for _, f := range found {
		if (f.Fix == "") != (f.Status == doctor.OK || f.Status == doctor.Skipped) {
			t.Errorf("%s: %s is %s with the fix %q", about, f.Check, f.Status, f.Fix)
		}
		if strings.ContainsAny(f.Found+f.Fix, "\n\r") {
			t.Errorf("%s: %s is told in several lines: %q, %q", about, f.Check, f.Found, f.Fix)
		}
		met := false
		for i, want := range left {
			if f.Check == want.check && f.Status == want.status && strings.Contains(f.Found+" "+f.Fix, want.text) {
				left, met = append(left[:i], left[i+1:]...), true
				break
			}
		}
		if !met && f.Status != doctor.OK {
			t.Errorf("%s: unexpected %s of %s: %q, %q", about, f.Status, f.Check, f.Found, f.Fix)
		}
	}
	for _, want := range left {
		t.Errorf("%s: nothing like %+v in %+v", about, want, found)
	}
}

func TestTheMostFundamentalErrorCounts(t *testing.T) {
	t.Parallel()
	warned := doctor.Finding{Status: doctor.Warning}
	away, mistake := doctor.Finding{Status: doctor.Error}, doctor.Finding{Status: doctor.Error, Mistake: true}
	for _, c := range []struct {
		findings []doctor.Finding
		want     doctor.Verdict
	}{
		{nil, doctor.Works},
		{[]doctor.Finding{warned, {Status: doctor.OK}, {Status: doctor.Skipped}}, doctor.Works},
		{[]doctor.Finding{away, warned}, doctor.Away},
		{[]doctor.Finding{away, mistake, away}, doctor.Misconfigured},
		{[]doctor.Finding{doctor.Late("redis")}, doctor.Away},
	} {
		if got := doctor.Judge(c.findings); got != c.want {
			t.Errorf("Judge(%+v) = %d, want %d", c.findings, got, c.want)
		}
	}
}

func TestMistakesOfTheConfigurationSayWhatToWrite(t *testing.T) {
	t.Parallel()
	wantFindings(t, "none", doctor.Configuration(config.Report{}, 1), expected{"configuration", doctor.OK, "1 variable set"})
	file := config.Origin{Kind: config.FromFile, File: ".env", Line: 3}
	report := config.Report{
		Problems: []config.Problem{
			{Variable: "A", What: "bad", Origin: file, Got: `"x"`, Expected: "a number", Example: "7"},
			{Variable: ".env:4", What: "no such line"},
		},
		Warnings: []config.Problem{{Variable: "B", What: "odd", Expected: "another"}, {Variable: "C", What: "odd", Example: "C=1"}},
	}
	wantFindings(t, "some", doctor.Configuration(report, 1),
		expected{"configuration", doctor.Error, `A: bad, set in .env:3 (got "x") A: expected is a number, such as 7`},
		expected{"configuration", doctor.Error, ".env:4: no such line correct or remove .env:4"},
		expected{"configuration", doctor.Warning, "B: odd B: expected is another"}, expected{"configuration", doctor.Warning, "for example C=1"})
}

func TestRedisIsJudgedByWhatItTells(t *testing.T) {
	t.Parallel()
	ahead := func(d time.Duration) *time.Duration { return &d }
	rules := func(text string) *string { return &text }
	away := fmt.Errorf("survey: %w: refused\nby nobody", ports.ErrUnavailable)
	for about, c := range map[string]struct {
		change func(*doctor.Redis)
		want   []expected
	}{
		"well":    {func(*doctor.Redis) {}, []expected{{"redis", doctor.OK, "7.2.4"}, {"redis rights", doctor.OK, "u may"}}},
		"away":    {func(r *doctor.Redis) { r.Err = away }, []expected{{"redis", doctor.Error, "start the server, or correct REDIS_URL"}}},
		"refused": {func(r *doctor.Redis) { r.Err = fmt.Errorf("%w: %w", redisqueue.ErrNoAccess, away) }, []expected{{"redis", doctor.Error, "password in REDIS_PASSWORD"}}},
		"unfit":   {func(r *doctor.Redis) { r.Err = domain.ErrInvalid }, []expected{{"redis", doctor.Error, "WORKER_QUEUE_PREFIX"}}},
		"old":     {func(r *doctor.Redis) { r.Survey.TooOld = true }, []expected{{"redis", doctor.Error, "6.2 is needed upgrade"}}},
		"replica": {func(r *doctor.Redis) { r.Survey.Replica = true }, []expected{{"redis", doctor.Error, "REDIS_URL to the primary"}}},
		"loading": {func(r *doctor.Redis) { r.Survey.Loading = true }, []expected{{"redis", doctor.Error, "wait"}}},
		"mute": {func(r *doctor.Redis) {
			r.Survey = redisqueue.Survey{RoundTrip: time.Millisecond, Rights: redisqueue.Rights{Known: true}}
		}, []expected{{"redis", doctor.Skipped, "INFO"}}},
		"evicting":   {func(r *doctor.Redis) { r.Survey.Policy = "volatile-ttl" }, []expected{{"redis memory", doctor.Warning, "noeviction"}}},
		"nearly":     {func(r *doctor.Redis) { r.Survey.UsedMemory = 91 << 20 }, []expected{{"redis memory", doctor.Warning, "91.0 MiB used of 100.0 MiB"}}},
		"full":       {func(r *doctor.Redis) { r.Survey.UsedMemory = 100 << 20 }, []expected{{"redis memory", doctor.Error, "refused"}}},
		"boundless":  {func(r *doctor.Redis) { r.Survey.MaxMemory = 0 }, []expected{{"redis memory", doctor.OK, "1.0 MiB used, no maxmemory"}}},
		"forgetful":  {func(r *doctor.Redis) { r.Survey.AppendOnly, r.Survey.Snapshots = false, rules("") }, []expected{{"redis persistence", doctor.Warning, "appendonly yes"}}},
		"snapshots":  {func(r *doctor.Redis) { r.Survey.AppendOnly, r.Survey.Snapshots = false, rules("900 1") }, []expected{{"redis persistence", doctor.OK, "save 900 1"}}},
		"unseen":     {func(r *doctor.Redis) { r.Survey.AppendOnly = false }, []expected{{"redis persistence", doctor.Skipped, "CONFIG GET"}}},
		"no disk":    {func(r *doctor.Redis) { r.Survey.DiskFailing = true }, []expected{{"redis persistence", doctor.Error, "disk space"}}},
		"exposed":    {func(r *doctor.Redis) { r.Survey.Exposed = true }, []expected{{"redis failover", doctor.Warning, "min-replicas-to-write"}}},
		"old rights": {func(r *doctor.Redis) { r.Survey.Rights = redisqueue.Rights{} }, []expected{{"redis rights", doctor.Skipped, "cannot tell"}}},
		"few rights": {func(r *doctor.Redis) {
			r.User, r.Survey.Rights.Keys, r.Survey.Rights.Commands = "", []string{"bull:*"}, []string{"a", "b"}
		}, []expected{{"redis rights", doctor.Error, "keys bull:*, command a, command b \"redis-cli ACL SETUSER default ~bull:* +a +b\""}}},
		"many rights lack": {func(r *doctor.Redis) { r.Survey.Rights.Commands = strings.Split("a b c d e f g h i j", " ") }, []expected{{"redis rights", doctor.Error, "and 2 more"}}},
		"ahead":            {func(r *doctor.Redis) { r.Survey.ClockAhead = ahead(2200 * time.Millisecond) }, []expected{{"redis clock", doctor.Warning, "2.2s ahead of"}}},
		"behind":           {func(r *doctor.Redis) { r.Survey.ClockAhead = ahead(-time.Hour) }, []expected{{"redis clock", doctor.Warning, "1h0m0s behind that of this host: ticks"}}},
		"near":             {func(r *doctor.Redis) { r.Survey.ClockAhead = ahead(2 * time.Second) }, []expected{{"redis clock", doctor.OK, "2s ahead"}}},
		"slow to tell":     {func(r *doctor.Redis) { r.Survey.ClockAhead, r.Survey.RoundTrip = ahead(3*time.Second), 2*time.Second }, nil},
	} {
		r := doctor.Redis{Where: "redis://h:1/0", Address: "REDIS_URL", Account: "REDIS_PASSWORD", User: "u", Survey: redisqueue.Survey{
			RoundTrip: time.Millisecond, ClockAhead: ahead(time.Microsecond), Version: "7.2.4", Policy: "noeviction", UsedMemory: 1 << 20,
			MaxMemory: 100 << 20, AppendOnly: true, Rights: redisqueue.Rights{Known: true},
		}}
		c.change(&r)
		found := r.Findings()
		wantFindings(t, about, found, c.want...)
		if want := about == "unfit"; (doctor.Judge(found) == doctor.Misconfigured) != want {
			t.Errorf("%s: %+v, want a mistake of the configuration: %t", about, found, want)
		}
	}
}

func TestQueuesAreJudgedByTheirCounts(t *testing.T) {
	t.Parallel()
	jobs := func(paused bool, jobs map[domain.State]int) domain.QueueCounts {
		return domain.QueueCounts{Paused: paused, Jobs: jobs}
	}
	wantFindings(t, "queues", doctor.Queues([]doctor.Queue{
		{Name: "well", Counts: jobs(false, map[domain.State]int{domain.StateWait: 2, domain.StatePrioritized: 1, domain.StateActive: 4, domain.StateFailed: 5})},
		{Name: "held", Counts: jobs(true, map[domain.State]int{domain.StateWait: 1})},
		{Name: "strange", Counts: jobs(false, map[domain.State]int{domain.StateParked: 7})},
		{Name: "damaged", Err: errors.New("WRONGTYPE (bull:damaged:wait)")},
	}),
		expected{"queues", doctor.OK, "4 queues: 4 jobs wait, 4 active, 5 failed"},
		expected{"queue held", doctor.Warning, `1 job waits "worker queues resume held"`},
		expected{"queue strange", doctor.Warning, "7 jobs parked"},
		expected{"queue damaged", doctor.Error, "bull:damaged:wait"})
}

func TestDatabasesAreJudgedByWhatTheyTell(t *testing.T) {
	t.Parallel()
	ahead := func(d time.Duration) *time.Duration { return &d }
	pending := func(d *doctor.Database) { d.Survey.Migrations[1].AppliedAt = time.Time{} }
	missing := func(d *doctor.Database) { pending(d); d.Survey.Migrations[0].AppliedAt = time.Time{} }
	for about, c := range map[string]struct {
		change func(*doctor.Database)
		want   []expected
	}{
		"well":           {func(*doctor.Database) {}, []expected{{"storage", doctor.OK, "Postgres 16.1"}, {"storage schema", doctor.OK, "2 migrations applied"}}},
		"away":           {func(d *doctor.Database) { d.Err = ports.ErrUnavailable }, []expected{{"storage", doctor.Error, "correct DB_URI"}}},
		"refused":        {func(d *doctor.Database) { d.Err = storage.ErrRefused }, []expected{{"storage", doctor.Error, "user, password and database in DB_URI"}}},
		"read-only":      {func(d *doctor.Database) { d.Survey.ReadOnly = true }, []expected{{"storage", doctor.Error, "standby"}}},
		"proxied":        {func(d *doctor.Database) { d.Survey.Proxied = true }, []expected{{"storage", doctor.Warning, "pool by session"}}},
		"crowded":        {func(d *doctor.Database) { d.Survey.Connections = 90 }, []expected{{"storage", doctor.Warning, "90 of 100 connections"}}},
		"hidden":         {func(d *doctor.Database) { d.Survey.Hidden = true }, []expected{{"storage schema", doctor.Error, "postgres-roles.sql"}}},
		"denied":         {func(d *doctor.Database) { d.Survey.Denied = []string{"t"} }, []expected{{"storage rights", doctor.Error, "rows of t"}}},
		"newer":          {func(d *doctor.Database) { d.Survey.Newer = []int64{8, 9} }, []expected{{"storage schema", doctor.Warning, "migration 9"}}},
		"missing":        {missing, []expected{{"storage schema", doctor.Warning, "in its memory alone"}}},
		"behind":         {pending, []expected{{"storage schema", doctor.Warning, "1 migration to come, the first is two"}}},
		"claims missing": {func(d *doctor.Database) { d.Claims = true; missing(d) }, []expected{{"storage schema", doctor.Warning, "claims and history"}}},
		"claims behind":  {func(d *doctor.Database) { d.Claims = true; pending(d) }, []expected{{"storage schema", doctor.Error, "no worker starts"}}},
		"needed":         {func(d *doctor.Database) { d.Needed = true; missing(d) }, []expected{{"storage schema", doctor.Error, `"worker migrate up"`}}},
		"automatic":      {func(d *doctor.Database) { d.Needed, d.AutoMigrate = true, true; missing(d) }, []expected{{"storage schema", doctor.OK, "2 migrations to come"}}},
		"clock":          {func(d *doctor.Database) { d.Survey.ClockAhead = ahead(-time.Minute) }, []expected{{"storage clock", doctor.Warning, "NTP"}}},
	} {
		d := doctor.Database{
			Check: doctor.CheckStorage, Variable: "DB_URI", Config: storage.Config{Dialect: storage.Postgres}, Survey: &storage.Survey{
				Version: "16.1", RoundTrip: time.Millisecond, ClockAhead: ahead(0), Connections: 5, MaxConnections: 100,
				Migrations: []storage.Migration{{Version: 1, Name: "one", AppliedAt: time.Unix(1, 0)}, {Version: 2, Name: "two", AppliedAt: time.Unix(2, 0)}},
			},
		}
		c.change(&d)
		wantFindings(t, about, d.Findings(), c.want...)
	}
}

func TestFilesAreJudgedByTheirPlace(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct {
		change  func(*doctor.Database)
		want    expected
		mistake bool
	}{
		"well":      {func(*doctor.Database) {}, expected{"storage", doctor.OK, "SQLite 3.50"}, false},
		"new":       {func(d *doctor.Database) { d.Place.Exists, d.Survey = false, nil }, expected{"storage file", doctor.OK, "not there yet"}, false},
		"theirs":    {func(d *doctor.Database) { d.Place.Owner, d.Place.Writable = 7, false }, expected{"storage file", doctor.Error, "belongs to user 7 may not be written"}, true},
		"another's": {func(d *doctor.Database) { d.Place.Owner = 7 }, expected{"storage file", doctor.Warning, `"chown 1000 /d/f.db"`}, false},
		"directory": {func(d *doctor.Database) { d.Place.DirWritable = false }, expected{"storage file", doctor.Error, "keeps its journal"}, true},
		"network":   {func(d *doctor.Database) { d.Place.Network = "NFS" }, expected{"storage file", doctor.Warning, "on NFS"}, false},
		"full":      {func(d *doctor.Database) { d.Place.Free = 1 << 20 }, expected{"storage file", doctor.Warning, "1.0 MiB are left"}, false},
		"rubbish":   {func(d *doctor.Database) { d.Err = errors.New("not a database") }, expected{"storage", doctor.Error, "set WORKER_DB_PATH"}, true},
		"held":      {func(d *doctor.Database) { d.Err = ports.ErrUnavailable }, expected{"storage", doctor.Error, "lsof"}, false},
		"platform's": {func(d *doctor.Database) {
			d.Check, d.Place.Exists, d.Survey = doctor.CheckPlatform, false, nil
		}, expected{"platform database file", doctor.Error, "there is no file"}, false},
	} {
		d := doctor.Database{
			Check: doctor.CheckStorage, Variable: "WORKER_DB_PATH", UID: 1000,
			Config: storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: "/d/f.db"}},
			Place:  &storage.Place{Exists: true, Owner: 1000, Writable: true, Dir: "/d", DirWritable: true, Free: 1 << 40},
			Survey: &storage.Survey{Version: "3.50"},
		}
		c.change(&d)
		found := d.Findings()
		wantFindings(t, about, found, c.want)
		if (doctor.Judge(found) == doctor.Misconfigured) != c.mistake {
			t.Errorf("%s: %+v, want a mistake of the configuration: %t", about, found, c.mistake)
		}
	}
}

func TestTheHostIsJudged(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 7, 12, 0, 0, 0, time.UTC)
	zones := func(data, name string) []doctor.Finding {
		z := doctor.Zones{Data: data, Name: name, Now: now}
		return z.Findings()
	}
	wantFindings(t, "zones", zones("2025b /usr", "Europe/Berlin"), expected{"time zones", doctor.OK, "13:00 +01:00"})
	wantFindings(t, "embedded zones", zones("embedded, of go1.26", "UTC"), expected{"time zones", doctor.OK, "embedded"})
	wantFindings(t, "old zones", zones("2023c /usr", "UTC"), expected{"time zones", doctor.Warning, "tzdata"})
	wantFindings(t, "no zone", zones("2025b", "Mars/Base"), expected{"time zones", doctor.Error, "WORKER_TIMEZONE"})

	place := &control.PlaceError{Variable: "WORKER_STATE_DIR", What: "/s has mode 0755"}
	for about, c := range map[string]struct {
		workers doctor.Workers
		want    []expected
	}{
		"none":    {doctor.Workers{}, []expected{{"workers", doctor.OK, "none runs"}}},
		"open":    {doctor.Workers{Err: fmt.Errorf("look: %w", place)}, []expected{{"state directory", doctor.Error, "0755"}}},
		"closed":  {doctor.Workers{Err: errors.New("no")}, []expected{{"state directory", doctor.Error, "WORKER_STATE_DIR"}}},
		"killed":  {doctor.Workers{Dead: []string{"41"}}, []expected{{"workers", doctor.Warning, "41 ended without a stop"}}},
		"running": {doctor.Workers{Running: []doctor.Worker{{Name: "a", Line: "ok: running", Ready: true, Live: true}, {Name: "b", Err: context.DeadlineExceeded}}}, []expected{{"worker a", doctor.OK, "ok: running"}, {"worker b", doctor.Error, "health --instance b"}}},
		"ill":     {doctor.Workers{Running: []doctor.Worker{{Name: "a", Line: "not ready", Live: true}, {Name: "b", Line: "stalled"}}}, []expected{{"worker a", doctor.Warning, "not ready"}, {"worker b", doctor.Error, "restart"}}},
	} {
		wantFindings(t, about, c.workers.Findings(), c.want...)
	}
}

// over is a schedule that has ended.
type over struct{ schedule.Schedule }

func (over) Next(time.Time) time.Time { return time.Time{} }

func TestSchedulesAreJudgedByTheirTicks(t *testing.T) {
	t.Parallel()
	planned := func(name, expression, zone string) app.PlannedJob {
		cron, err := schedule.ParseCron(expression, zone)
		if err != nil {
			t.Fatal(err)
		}
		return app.PlannedJob{Name: name, Schedule: cron}
	}
	plan := doctor.Schedules{
		Now:  time.Date(2026, time.March, 7, 12, 0, 0, 0, time.UTC),
		Jobs: []app.JobInfo{{ID: "a", Enabled: true}, {ID: "b"}}, Warnings: []string{`scheduled job "a": step 90 is wider than the range`},
		Planned: []app.PlannedJob{
			{Name: "past", Schedule: over{}},
			planned("hourly", "*/30 * * * *", "Europe/Berlin"), planned("moved", "30 2 * * *", "Europe/Berlin"), planned("merged", "30 2,3 * * *", "Europe/Berlin"),
			planned("seconds", "* * * * * *", "Europe/Berlin"), planned("never", "30 2 * * *", "UTC"),
		},
	}
	wantFindings(t, "spring", plan.Findings(),
		expected{"schedules", doctor.OK, "2 jobs, 6 with ticks to come; disabled: b"},
		expected{"schedules", doctor.Warning, "step 90"}, expected{"schedules", doctor.Warning, "job past never fires again"},
		expected{"clock change", doctor.OK, "job moved on 2026-03-29 in Europe/Berlin: 02:30 does not exist"},
		expected{"clock change", doctor.Warning, "job merged on 2026-03-29"})
	if n := len(plan.Findings()); n != 5 {
		t.Errorf("%d findings, want those alone", n)
	}
	plan.Now = time.Date(2026, time.October, 10, 12, 0, 0, 0, time.UTC)
	plan.Warnings, plan.Planned = nil, plan.Planned[2:3]
	wantFindings(t, "autumn", plan.Findings(), expected{"clock change", doctor.OK, "occurs twice on this day"})
	plan.Now = time.Date(2026, time.July, 10, 12, 0, 0, 0, time.UTC)
	if n := len(plan.Findings()); n != 1 {
		t.Errorf("%d findings in summer, want no change of the clocks", n)
	}
	plan.Off = true
	wantFindings(t, "off", plan.Findings(), expected{"schedules", doctor.Warning, "WORKER_SCHEDULER_ENABLED"})
	wantFindings(t, "refused", doctor.Refused(&app.RegistrationError{Problems: []string{"two of one name"}}), expected{"schedules", doctor.Error, "two of one name"})
}
