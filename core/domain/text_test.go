package domain_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taktwork/takt/core/domain"
)

func TestCleanTextCutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""},
		{"plain", 5, "plain"},
		{"plain", 4, "plai"},
		{"aé", 3, "aé"},
		{"aéb", 3, "aé"},
		{"aé", 2, "a"},
		{"日本", 5, "日"},
		{"日本", 2, ""},
		{"a\x00b\xffc", 10, "abc"},
	} {
		if got := domain.CleanText(c.text, c.limit); got != c.want {
			t.Errorf("CleanText(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}

func TestQuoteCutsAfter64Characters(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("ü", 64)
	for text, want := range map[string]string{
		full[2:]:   `"` + full[2:] + `"`,
		full:       `"` + full + `"`,
		full + "x": `"` + full + `"…`,
	} {
		if got := domain.Quote(text); got != want {
			t.Errorf("Quote of %d characters = %s, want %s", utf8.RuneCountInString(text), got, want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	for _, seed := range []string{"", "plain", "日本語", "a\x00b", "\xff\xfe", "\xe6\x97", strings.Repeat("\x80", 40), "\xc3\xff\xa9"} {
		f.Add(seed, 4)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = min(max(limit, 0), 1<<16)
		got := domain.CleanText(text, limit)
		switch {
		case len(got) > limit:
			t.Errorf("CleanText(%q, %d) is %d bytes long", text, limit, len(got))
		case !utf8.ValidString(got) || strings.Contains(got, "\x00"):
			t.Errorf("CleanText(%q, %d) = %q, want valid UTF-8 without NUL", text, limit, got)
		case domain.CleanText(got, limit) != got:
			t.Errorf("CleanText(%q, %d) = %q changes when cleaned again", text, limit, got)
		}
		if utf8.ValidString(text) && !strings.Contains(text, "\x00") {
			if !strings.HasPrefix(text, got) || len(got) < min(len(text), limit)-utf8.UTFMax+1 {
				t.Errorf("CleanText(%q, %d) = %q, want as much of the beginning as fits", text, limit, got)
			}
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("plain")
	f.Add("a\x1b[31m")
	f.Add(strings.Repeat("ü", 65))
	f.Add("\xff\u009b\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := domain.Quote(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("Quote(%q) = %s, want nothing that a terminal obeys", text, got)
		}
		if len(got) > 64*10+len(`""…`) {
			t.Errorf("Quote of %d bytes is %d bytes long", len(text), len(got))
		}
	})
}
