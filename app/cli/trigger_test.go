package cli_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/core/domain"
)

func TestATriggerExitsAsItsRunEnds(t *testing.T) {
	t.Parallel()
	for event, want := range map[domain.Event]int{
		domain.EventCompleted:   cli.ExitOK,
		domain.EventFired:       cli.ExitOK,
		domain.EventSkipped:     cli.ExitOK,
		domain.EventFailed:      cli.ExitInternal,
		domain.EventQuarantined: cli.ExitInternal,
		domain.EventCancelled:   cli.ExitAbandoned,
		domain.EventReleased:    cli.ExitAbandoned,
		domain.EventAbandoned:   cli.ExitAbandoned,
		domain.EventLost:        cli.ExitAbandoned,
	} {
		if got := cli.TriggerCode(event); got != want {
			t.Errorf("exit code of a run that is %s = %d, want %d", event, got, want)
		}
	}
}

func TestTheJSONLogTellsTimesInUTC(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	at := time.Date(2026, time.March, 7, 1, 30, 0, 123_456_789, east)
	var text bytes.Buffer
	record := slog.NewRecord(at, slog.LevelInfo, "worker ready", 0)
	record.AddAttrs(slog.Group("tick", slog.Time(slog.TimeKey, at)))
	if err := cli.NewJSONLog(&text).Handler().Handle(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	var line struct {
		Time string
		Tick struct{ Time string }
	}
	if err := json.Unmarshal(text.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, text.Bytes())
	}
	if want := "2026-03-06T23:30:00.123456Z"; line.Time != want {
		t.Errorf("time = %s, want %s", line.Time, want)
	}
	if want := at.Format(time.RFC3339Nano); line.Tick.Time != want {
		t.Errorf("time of a group = %s, want %s as it was given", line.Tick.Time, want)
	}
}
