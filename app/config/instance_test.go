package config_test

import (
	"strings"
	"testing"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
)

func TestAnInstanceNameIsWhatTheControlSocketTakes(t *testing.T) {
	for _, name := range []string{"blue", "_", "4711", "a.b-c_d", ".", "..", ".hidden", "-", "-x", "a/b", "ä", strings.Repeat("x", 64), strings.Repeat("x", 65)} {
		_, report := config.Load(source(t, "WORKER_INSTANCE="+name))
		_, err := control.SocketPath("/s", "default", name)
		if got, want := report.Err() == nil, err == nil; got != want {
			t.Errorf("WORKER_INSTANCE=%s is accepted: %t, and by the socket: %t", name, got, want)
		}
	}
}

func TestATZThatNamesNoZoneIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    string
	}{
		{[]string{"TZ=CET-1CEST"}, `config: TZ: names no IANA zone: UTC is used, set in environment (got "CET-1CEST"); expected an IANA zone name, or one in WORKER_TIMEZONE`},
		{[]string{"TZ=:/etc/localtime"}, `config: TZ: names no IANA zone: UTC is used, set in environment (got ":/etc/localtime"); expected an IANA zone name, or one in WORKER_TIMEZONE`},
		{[]string{"TZ=CET-1CEST", "WORKER_TIMEZONE=UTC"}, ""},
		{[]string{"TZ=:Europe/Berlin"}, ""},
		{[]string{"TZ="}, ""},
	} {
		_, report := config.Load(source(t, c.environ...))
		var got []string
		for _, warning := range report.Warnings {
			got = append(got, warning.String())
		}
		if strings.Join(got, "\n") != c.want || report.Err() != nil {
			t.Errorf("%s: warnings %q, want %q", c.environ, got, c.want)
		}
	}
}
