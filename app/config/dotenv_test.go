package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/taktwork/takt/app/config"
)

func TestAFileIsReadAsNodeReadsIt(t *testing.T) {
	for _, c := range []struct {
		about, text string
		want        map[string]string
	}{
		{"plain", "A=b", map[string]string{"A": "b"}},
		{"blanks around", "  A \t=  b c  ", map[string]string{"A": "b c"}},
		{"export", "export A=b\n\texport\tB=c\nexport=d", map[string]string{"A": "b", "B": "c", "export": "d"}},
		{"colon", "A: b\nB:\tc", map[string]string{"A": "b", "B": "c"}},
		{"dots and dashes in names", "a.b-c_1=x", map[string]string{"a.b-c_1": "x"}},
		{"empty values", "A=\nB=''\nC=\"\"\nD= # comment", map[string]string{"A": "", "B": "", "C": "", "D": ""}},
		{"comments", "# A=b\n  # B=c\nC=d # e\nD='x # y' # z", map[string]string{"C": "d", "D": "x # y"}},
		{"equals signs in values", "A=b=c==", map[string]string{"A": "b=c=="}},
		{"three kinds of quotes", "A='b \"c'\nB=\"d 'e\"\nC=`f'\"g`", map[string]string{"A": `b "c`, "B": "d 'e", "C": `f'"g`}},
		{"quotes inside plain values", `A=b"c"'d`, map[string]string{"A": `b"c"'d`}},
		{"blanks inside quotes stay", "A='  b  '", map[string]string{"A": "  b  "}},
		{"escapes in double quotes alone", `A="b\nc\rd\te"` + "\n" + `B='b\nc'`, map[string]string{"A": "b\nc\rd\\te", "B": `b\nc`}},
		{"several lines", "A=\"b\nC=d\n\"\nB=`e\n\n`", map[string]string{"A": "b\nC=d\n", "B": "e\n\n"}},
		{"escaped quotes stay escaped", `A="b\"c"` + "\n" + `B='d\'e'`, map[string]string{"A": `b\"c`, "B": `d\'e`}},
		{"backslash before the closing quote", `A='C:\dir\'` + "\n" + `B=c`, map[string]string{"A": `C:\dir\`, "B": "c"}},
		{"byte order mark", "\ufeffA=b", map[string]string{"A": "b"}},
		{"line ends of other systems", "A=b\r\nB='c\r\nd'\rC=e", map[string]string{"A": "b", "B": "c\nd", "C": "e"}},
		{"nothing is expanded", "A=$HOME\nB=\"${A} $(id) `id`\"", map[string]string{"A": "$HOME", "B": "${A} $(id) `id`"}},
		{"other bytes are kept", "A=\xffü", map[string]string{"A": "\xffü"}},
		{"a value starts on its own line", "A=\n'b'=c\nB=d", map[string]string{"A": "", "B": "d"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			got, problems, _ := config.DotenvValues(".env", []byte(c.text))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if len(problems) > 0 && c.about != "a value starts on its own line" {
				t.Errorf("problems = %v, want none", problems)
			}
		})
	}
}

func TestAMistakeInAFileIsNamedByItsLine(t *testing.T) {
	for _, c := range []struct {
		about, text string
		want        []string
	}{
		{"no equals sign", "A=b\ngeheim", []string{".env:2"}},
		{"no name", "=geheim", []string{".env:1"}},
		{"bad name", "A B=geheim\nÄ=geheim", []string{".env:1", ".env:2"}},
		{"colon without a blank", "A:geheim", []string{".env:1"}},
		{"text after the quote", "A='b'geheim\nB=c\nC=\"d\" geheim", []string{".env:1", ".env:3"}},
		{"unclosed quote ends the reading", "\n\nA='geheim\nB=c\nnot a setting", []string{".env:3"}},
		{"line counts go on after several lines", "A='b\nc'\ngeheim", []string{".env:3"}},
		{"NUL", "A=b\x00c", []string{".env:1"}},
		{"UTF-16", "\xff\xfeA\x00=\x00b\x00", []string{".env:1"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			_, problems, _ := config.DotenvValues(".env", []byte(c.text))
			var got []string
			for _, problem := range problems {
				got = append(got, problem.Variable)
				if strings.Contains(problem.String(), "geheim") {
					t.Errorf("problem shows the value: %s", problem)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFileWarnsOfWhatItOverrides(t *testing.T) {
	_, problems, warnings := config.DotenvValues(".env", []byte("A=1\nB=c#d\nA=2\nC=#fff\nD=e #f"))
	var got []string
	for _, warning := range warnings {
		got = append(got, warning.String())
	}
	want := []string{
		"config: B: the value ends at the # character; put it in quotes if it belongs to the value, set in .env:2",
		"config: A: set before in .env:1; this one counts, set in .env:3",
		"config: C: the value ends at the # character; put it in quotes if it belongs to the value, set in .env:4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if len(problems) != 0 {
		t.Errorf("problems = %v, want none", problems)
	}
}

func TestASettingKnowsItsFirstLine(t *testing.T) {
	text := []byte("\n# x\nA='b\nc'\r\n\r\nB=d")
	for name, want := range map[string]int{"A": 3, "B": 6} {
		if got := config.DotenvLine(".env", text, name); got != want {
			t.Errorf("line of %s = %d, want %d", name, got, want)
		}
	}
}

func FuzzDotEnv(f *testing.F) {
	for _, seed := range []string{
		"", "A=b", "export A='b'\n", "A=\"x\ny\" # z", "A='", "A=`\\`", "\ufeffA: b\r\n", "A=$(rm -rf /)\nB=${B}", "A='C:\\dir\\'",
		"\x00", "export", "export ", "A=b\nA=c#d", "A=\"\\\"", "=", ":", "A='b'c\nD",
	} {
		f.Add(seed)
	}
	const canary = "kanarienvogel-7f3a"
	f.Fuzz(func(t *testing.T, text string) {
		values, problems, warnings := config.DotenvValues(".env", []byte(text))
		lines := strings.Count(strings.NewReplacer("\r\n", "\n").Replace(text), "\n") + strings.Count(text, "\r") + 1
		for name := range values {
			line := config.DotenvLine(".env", []byte(text), name)
			if line < 1 || line > lines || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
				t.Errorf("setting %q on line %d of %d", name, line, lines)
			}
		}
		again, problems2, _ := config.DotenvValues(".env", []byte(text))
		if !cmp.Equal(values, again) || !cmp.Equal(problems, problems2, cmpopts.IgnoreUnexported(config.Problem{})) {
			t.Error("the same text was read in two ways")
		}
		_, hidden, _ := config.DotenvValues(".env", []byte("SECRET=\""+canary+"\n"+text))
		for _, problem := range append(append(problems, warnings...), hidden...) {
			if line := problem.String(); strings.Contains(line, canary) || strings.ContainsAny(line, "\n\r\x00\x1b") {
				t.Errorf("problem = %q, want one line without the value", line)
			}
		}
		if strings.ContainsAny(text, "\"'`\x00") {
			return
		}
		// What was read can be written down and read again.
		for name, value := range values {
			written, _, _ := config.DotenvValues(".env", []byte(name+"='"+value+"'"))
			if written[name] != value {
				t.Errorf("%s = %q, written and read again %q", name, value, written[name])
			}
		}
	})
}
