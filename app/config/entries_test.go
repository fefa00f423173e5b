package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/app/config"
)

func TestEntriesListEveryVariableThenTheUnused(t *testing.T) {
	loaded := mustLoad(t, source(t, "WORKER_MAX_PAYLOAD=1048576", "WORKER_AAA=geheim", "WORKER_ZZZ=geheim", "PGPASSWORD=geheim"))
	entries := loaded.Entries()
	var unused []string
	for i, entry := range entries {
		if i < len(config.Variables()) {
			if entry.Name != config.Variables()[i].Name || entry.Unused {
				t.Errorf("entry %d = %q, want %q", i, entry.Name, config.Variables()[i].Name)
			}
			continue
		}
		unused = append(unused, entry.Name+"="+entry.Value)
	}
	if diff := cmp.Diff([]string{"WORKER_AAA=***", "WORKER_ZZZ=***"}, unused); diff != "" {
		t.Errorf("unused entries (-want +got):\n%s", diff)
	}
	for _, entry := range entries {
		if entry.Name == "WORKER_MAX_PAYLOAD" && (entry.Value != "1MiB" || entry.Default != "256KiB") {
			t.Errorf("WORKER_MAX_PAYLOAD = %q, default %q, want 1MiB and 256KiB", entry.Value, entry.Default)
		}
	}
	entries[0].Name = "mine"
	if loaded.Entries()[0].Name == "mine" {
		t.Error("Entries() shares its slice with the caller")
	}
}

func TestEntriesAreReadableJSON(t *testing.T) {
	text, err := json.Marshal(mustLoad(t, source(t, "WORKER_JOB_RETRY_DELAY=24h")).Entries())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"WORKER_JOB_RETRY_DELAY","value":"24h","default":"5s","origin":"environment","description":"Wait before each retry."}`
	if !strings.Contains(string(text), want) {
		t.Errorf("Entries() lack %s:\n%s", want, text)
	}
}

func TestEntriesShowWhatSwitchesDecided(t *testing.T) {
	loaded := mustLoad(t, source(t, "WORKER_QUEUE_ENABLED=false"))
	for _, entry := range loaded.Entries() {
		if entry.Name == "WORKER_QUEUE_BACKEND" && (entry.Value != "none" || entry.Origin.String() != "environment (WORKER_QUEUE_ENABLED)") {
			t.Errorf("backend = %q from %q, want none from environment (WORKER_QUEUE_ENABLED)", entry.Value, entry.Origin)
		}
	}
}

func TestSecretsAreMaskedEverywhere(t *testing.T) {
	entry, problem := config.SecretEntry("WORKER_NAMESPACE", "geheim")
	text, err := json.Marshal([]any{entry, problem})
	if err != nil {
		t.Fatal(err)
	}
	if all := string(text) + problem.String(); strings.Contains(all, "geheim") || !strings.Contains(all, "***") {
		t.Errorf("secret is shown, or not masked: %s", all)
	}
}

func TestAnAddressWithAPasswordIsMaskedWhereverItIsPut(t *testing.T) {
	_, report := config.Load(source(t, "WORKER_DEFAULT_QUEUE=redis://user:geheim@host"))
	if text := report.Err().Error(); strings.Contains(text, "geheim") || !strings.Contains(text, "(got ***)") {
		t.Errorf("problem = %s, want the value masked", text)
	}
}
