package domain_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/taktwork/takt/core/domain"
)

var (
	queueNames     = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\z`)
	scheduledNames = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._/-]{0,127}\z`)
)

func wantVerdict(t *testing.T, what, name string, err error, valid bool) {
	t.Helper()
	switch {
	case valid && err != nil:
		t.Errorf("%s %q: Validate() = %v, want none", what, name, err)
	case !valid && !errors.Is(err, domain.ErrInvalid):
		t.Errorf("%s %q: Validate() = %v, want ErrInvalid", what, name, err)
	case err != nil && (!utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unicode.IsControl)):
		t.Errorf("%s %q: message %q is not fit for a log", what, name, err)
	}
}

func FuzzQueueName(f *testing.F) {
	for _, seed := range []string{"", "mail", "a.b_c-d", ".a", "a:b", "{a}", "über", "a b", strings.Repeat("q", 128), strings.Repeat("q", 129), "a\x00", "\xff", "a/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		wantVerdict(t, "queue", name, domain.QueueName(name).Validate(), queueNames.MatchString(name))
		wantVerdict(t, "scheduled job", name, domain.ValidateScheduledJobName(name), scheduledNames.MatchString(name))
	})
}

func FuzzJobName(f *testing.F) {
	for _, seed := range []string{"", " ", "send mail", " a", "a\n", "a\x1b[31mb", "a\u009bb", "日本語", strings.Repeat("n", 256), strings.Repeat("n", 257), "\xff", "a\x7fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		valid := name != "" && strings.TrimSpace(name) == name && len(name) <= 256 &&
			utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
		wantVerdict(t, "job", name, domain.ValidateJobName(name), valid)
	})
}

func FuzzJobID(f *testing.F) {
	for _, seed := range []string{"", "tick.report.1", "12", "0", "12a", "a:b", "a{b}", "a\u009b", strings.Repeat("i", 512), strings.Repeat("i", 513), "\xff", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		integer := id != "" && strings.Trim(id, "0123456789") == ""
		valid := !integer && len(id) <= 512 && !strings.ContainsAny(id, ":{}") &&
			utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
		wantVerdict(t, "id", id, domain.JobID(id).Validate(), valid)
	})
}
