package parity_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/parity"
)

// check is a check of documents: [parity.Links], [parity.Targets] or [parity.Wording].
type check func(fs.FS, []string) ([]parity.Problem, error)

// judge runs a check on README.md with the given text, in a small repository.
func judge(t *testing.T, run check, readme string) []string {
	t.Helper()
	problems, err := run(fstest.MapFS{
		"README.md":     {Data: []byte(readme)},
		"Makefile":      {Data: []byte("VERSION := 1\nrun: build ## run it\n\tgo run .\ntest:\nlint arch:\n")},
		"docs/guide.md": {Data: []byte("# The guide\n\n## Retries & back-off\n\n```sh\n# not a heading\n```\n")},
	}, []string{"README.md"})
	if err != nil {
		t.Fatal(err)
	}
	var report []string
	for _, p := range problems {
		report = append(report, p.String())
	}
	return report
}

type documentCase struct {
	name, readme string
	want         []string
}

func checkDocuments(t *testing.T, run check, cases []documentCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, judge(t, run, c.readme)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksReportsWhatLeadsNowhere(t *testing.T) {
	checkDocuments(t, parity.Links, []documentCase{
		{"a file and its heading", "# Hi\n[a](docs/guide.md) [b](docs/guide.md#retries--back-off) [c](#hi) [d](docs)", nil},
		{"a link with a title", `[a](docs/guide.md "the guide")`, nil},
		{"the network is left alone", "[a](https://example.com/x) [b](mailto:a@example.com)", nil},
		{"a missing file", "\n[a](docs/gone.md)", []string{"README.md:2: link to docs/gone.md: no such file"}},
		{"a missing heading", "[a](docs/guide.md#gone)", []string{"README.md:1: link to docs/guide.md#gone: no such heading"}},
		{"a comment in a fenced block is no heading", "[a](docs/guide.md#not-a-heading)", []string{"README.md:1: link to docs/guide.md#not-a-heading: no such heading"}},
		{"a missing heading of the same file", "[a](#gone)", []string{"README.md:1: link to #gone: no such heading"}},
		{"code is no link", "`m[a](b)`\n```go\nm[a](b)\n```", nil},
	})
}

func TestTargetsReportsWhatTheMakefileLacks(t *testing.T) {
	checkDocuments(t, parity.Targets, []documentCase{
		{"targets that exist", "`make run`, then `make`\n```sh\n$ make test   # all\nLOG_LEVEL=info make run\n```", nil},
		{"prose is no command", "make sure to make haste", nil},
		{"a code span", "use `make gone`", []string{"README.md:1: make gone: no such target"}},
		{"the second of two", "`make run gone`", []string{"README.md:1: make gone: no such target"}},
		{"a fenced block", "```sh\nmake gone\n```", []string{"README.md:2: make gone: no such target"}},
		{"variables are no targets", "`make run VERSION=1`; `make VERSION`", nil},
	})
}

func TestWordingReportsMachinePathsAndUnfinishedPlaces(t *testing.T) {
	checkDocuments(t, parity.Wording, []documentCase{
		{"what users need", "`/run/takt`, /tmp/takt-1000, $HOME/.local/state/takt, https://example.com/home/x", nil},
		{"a path of one machine", "see `/home/me/takt`", []string{"README.md:1: \"/home/me/takt`\" does not belong in the documentation"}},
		{"a path in a fenced block", "```\ncd /root/takt\n```", []string{`README.md:2: "/root/takt" does not belong in the documentation`}},
		{"an unfinished place", "Retries: TODO", []string{`README.md:1: "TODO" does not belong in the documentation`}},
	})
}

func TestDocumentsFindsWhatUsersRead(t *testing.T) {
	found, err := parity.Documents(fstest.MapFS{
		"README.md":                {},
		"docs/guide.md":            {},
		"docs/decisions/0001-a.md": {},
		"docs/picture.svg":         {},
		"deploy/README.md":         {},
		"core/notes.md":            {},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"README.md", "docs/decisions/0001-a.md", "docs/guide.md", "deploy/README.md"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("Documents (-want +got):\n%s", diff)
	}
}

func TestChecksFailWithoutTheirFiles(t *testing.T) {
	for name, run := range map[string]check{"Links": parity.Links, "Targets": parity.Targets, "Wording": parity.Wording} {
		if _, err := run(fstest.MapFS{"Makefile": {}}, []string{"gone.md"}); err == nil {
			t.Errorf("%s of a missing document = nil error, want one", name)
		}
	}
	if _, err := parity.Targets(fstest.MapFS{}, nil); err == nil {
		t.Error("Targets without a Makefile = nil error, want one")
	}
	if _, err := parity.Documents(fstest.MapFS{}); err == nil {
		t.Error("Documents without docs = nil error, want one")
	}
}
