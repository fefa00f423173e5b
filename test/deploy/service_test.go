package deploy_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app/config"
)

// unit reads the settings of the unit of systemd, in order; of one name there may be several.
func unit(t *testing.T) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(read(t, repository(t, "deploy", "systemd", "takt.service"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	return settings
}

// verifiable is the unit with a program that is there.
func verifiable(t *testing.T, broken ...string) string {
	t.Helper()
	text := strings.Replace(read(t, repository(t, "deploy", "systemd", "takt.service")), "ExecStart=/usr/local/bin/worker", "ExecStart="+rootfs(t)+"/usr/local/bin/worker", 1)
	path := t.TempDir() + "/takt.service"
	write(t, path, strings.NewReplacer(broken...).Replace(text), 0o644)
	return path
}

func TestSystemdTakesTheUnit(t *testing.T) {
	analyze := need(t, "systemd-analyze", "systemd")
	if got := run(t, nil, analyze, "verify", "--man=no", verifiable(t)).want(t, 0); got.stderr != "" {
		t.Errorf("systemd-analyze says %s", got.stderr)
	}
	if got := run(t, nil, analyze, "verify", "--man=no", verifiable(t, "WatchdogSec=60", "WatchdogSec=often")); got.stderr == "" {
		t.Error("systemd-analyze has nothing to say about WatchdogSec=often")
	}
}

// exposureMost is the most that systemd may think a worker is exposed, of 100: what is left is that it uses the network.
const exposureMost = 15

func TestTheUnitIsHardened(t *testing.T) {
	analyze := need(t, "systemd-analyze", "systemd")
	args := []string{"security", "--offline=true", "--no-pager", "--threshold=" + strconv.Itoa(exposureMost)}
	run(t, nil, analyze, append(args, verifiable(t))...).want(t, 0)
	run(t, nil, analyze, append(args, verifiable(t, "ProtectSystem=strict", "", "NoNewPrivileges=yes", "", "ProtectHome=yes", ""))...).want(t, 1)
}

func TestTheUnitFitsTheTimesAndCodesOfTheWorker(t *testing.T) {
	settings := unit(t)
	seconds := func(name string) time.Duration {
		n, err := strconv.Atoi(strings.Join(settings[name], ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return time.Duration(n) * time.Second
	}
	defaults := map[string]time.Duration{}
	for _, v := range config.Variables() {
		if d, err := time.ParseDuration(v.Default); err == nil {
			defaults[v.Name] = d
		}
	}
	if got, least := seconds("TimeoutStopSec"), defaults["WORKER_SHUTDOWN_TIMEOUT"]+graceMargin; got < least {
		t.Errorf("TimeoutStopSec is %s, want at least %s", got, least)
	}
	if got, least := seconds("TimeoutStartSec"), defaults["WORKER_START_TIMEOUT"]+graceMargin; got < least {
		t.Errorf("TimeoutStartSec is %s, want at least %s", got, least)
	}
	if seconds("WatchdogSec") <= 30*time.Second {
		t.Error("WatchdogSec is shorter than what a planner may be behind")
	}
	if got := strings.Join(settings["RestartPreventExitStatus"], ""); got != "64 78" {
		t.Errorf("RestartPreventExitStatus is %s, want usage and configuration", got)
	}
	if got := strings.Join(settings["Type"], ""); got != "notify" {
		t.Errorf("Type is %s", got)
	}
	var known []string
	for _, v := range config.Variables() {
		known = append(known, v.Name)
	}
	for pair := range strings.FieldsSeq(strings.Join(settings["Environment"], " ")) {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(known, name) && !slices.Contains(notOurs, name) {
			t.Errorf("the unit sets %s, which the configuration does not know", name)
		}
	}
}

var imageVariable = regexp.MustCompile(`^([A-Z_]+)=`)

func TestTheImageSetsWhatTheConfigurationKnows(t *testing.T) {
	var known []string
	for _, v := range config.Variables() {
		known = append(known, v.Name)
	}
	for _, pair := range imageEnv(t) {
		name := imageVariable.FindStringSubmatch(pair)[1]
		if name != "PATH" && !slices.Contains(known, name) {
			t.Errorf("the image sets %s, which the configuration does not know", name)
		}
	}
}
