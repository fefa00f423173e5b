package domain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/taktwork/takt/core/domain"
)

const canary = "hunter2"

func TestSecretIsMaskedByEveryVerb(t *testing.T) {
	t.Parallel()
	secret := domain.NewSecret(canary)
	type config struct {
		Exported   domain.Secret
		unexported domain.Secret
		List       []domain.Secret
	}
	values := map[string]any{
		"value": secret, "pointer": &secret,
		"struct": config{secret, secret, []domain.Secret{secret}},
		"nested": &config{secret, secret, []domain.Secret{secret}},
		"map":    map[domain.Secret]domain.Secret{secret: secret},
		"any":    []any{secret, &secret},
	}
	hexed := fmt.Sprintf("%x", canary)
	for name, value := range values {
		for _, verb := range "vTtbcdoOqxXUeEfFgGsp!z" {
			for _, flags := range []string{"", "+", "#", "-20", "020.3", " "} {
				format := "%" + flags + string(verb)
				text := strings.ToLower(fmt.Sprintf(format, value))
				if strings.Contains(text, canary) || strings.Contains(text, hexed) {
					t.Errorf("Sprintf(%q) of a %s = %s, want it masked", format, name, text)
				}
			}
		}
	}
	if got := fmt.Sprintf("%s %v %q %#v", secret, secret, secret, secret); got != "*** *** *** ***" {
		t.Errorf("Sprintf() = %s, want it masked", got)
	}
	if got := secret.String() + secret.GoString(); got != "******" {
		t.Errorf("String() and GoString() = %s, want ******", got)
	}
}

func TestSecretIsMaskedInJSONAndLogs(t *testing.T) {
	t.Parallel()
	secret := domain.NewSecret(canary)
	type config struct{ Password domain.Secret }
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": &secret, "c": config{secret}, "d": map[domain.Secret]int{secret: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"***","b":"***","c":{"Password":"***"},"d":{"***":1}}`; string(encoded) != want {
		t.Errorf("Marshal() = %s, want %s", encoded, want)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("configured", "secret", secret, "pointer", &secret, "config", config{secret}, slog.Group("db", "password", secret))
	}
	if strings.Contains(log.String(), canary) || strings.Count(log.String(), "***") < 8 {
		t.Errorf("log = %s, want the secret masked everywhere", log.String())
	}
}

func TestSecretRevealsItsText(t *testing.T) {
	t.Parallel()
	var zero domain.Secret
	secret := domain.NewSecret(canary)
	if got := secret.Reveal(); got != canary {
		t.Errorf("Reveal() = %s, want %s", got, canary)
	}
	if !zero.IsZero() || !domain.NewSecret("").IsZero() || secret.IsZero() || zero.Reveal() != "" {
		t.Error("only an empty secret is zero")
	}
	if !secret.Equal(domain.NewSecret(canary)) || secret.Equal(zero) || !zero.Equal(domain.NewSecret("")) {
		t.Error("Equal() compares by text")
	}
}
