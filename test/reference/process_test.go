package reference_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
)

func TestCronExpressionsAreReadInTheZoneOfTheVariable(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{nil, "UTC 12:00"},
		{[]string{"TZ=Europe/Berlin"}, "Europe/Berlin 11:00"},
		{[]string{"TZ=CET-1CEST"}, "UTC 12:00"},
		{[]string{"WORKER_TIMEZONE=Asia/Tokyo", "TZ=Europe/Berlin"}, "Asia/Tokyo 03:00"},
	} {
		synctest.Test(t, func(t *testing.T) {
			notes := &notebook{}
			w := takttest.StartWith(t, takttest.Config{Settings: settings(t, c.environ...)}, jobs(notes.job(quick, app.Cron("0 12 * * *"))))
			job := w.Service().ListJobs()[0]
			if got := job.Timezone + " " + job.NextTick.UTC().Format("15:04"); got != c.want {
				t.Errorf("%v: noon is at %s UTC, want %s", c.environ, got, c.want)
			}
		})
	}
}

func TestRegisteredJobsAreLoggedUnlessTheVariableSaysOtherwise(t *testing.T) {
	for value, want := range map[string]int{"": 1, "true": 1, "false": 0} {
		synctest.Test(t, func(t *testing.T) {
			lines, notes := 0, &notebook{}
			started(t, settings(t, "WORKER_LOG_REGISTERED_JOBS="+value), func(message string) {
				if strings.HasPrefix(message, "scheduled job registered") {
					lines++
				}
			}, jobs(notes.job(quick)))
			if lines != want {
				t.Errorf("WORKER_LOG_REGISTERED_JOBS=%s: %d jobs are logged, want %d", value, lines, want)
			}
		})
	}
}
