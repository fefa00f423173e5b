package bullboard_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// patience bounds every wait of the tests.
const patience = 20 * time.Second

// process is a Node program that answers a line with a line.
type process struct {
	t      *testing.T
	name   string
	in     io.WriteCloser
	out    *bufio.Reader
	errors strings.Builder
}

// run starts a program of this directory, which ends with the test, and
// returns its first line.
func run(t *testing.T, script string, args ...string) (p *process, first string) {
	t.Helper()
	p = &process{t: t, name: script}
	cmd := exec.Command("node", append([]string{script}, args...)...) //nolint:noctx // it ends with its input
	cmd.Stderr = &p.errors
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node (run make bullboard): %v", err)
	}
	t.Cleanup(func() {
		_ = p.in.Close()
		_, _ = io.Copy(io.Discard, p.out)
		_ = cmd.Wait()
	})
	return p, p.line()
}

func (p *process) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s ended (run make bullboard): %v: %s", p.name, err, p.errors.String())
	}
	return strings.TrimSpace(line)
}

// ask sends a request and returns the reply.
func (p *process) ask(request map[string]any) (json.RawMessage, error) {
	p.t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(p.in, "%s\n", text); err != nil {
		p.t.Fatalf("%s ended: %v: %s", p.name, err, p.errors.String())
	}
	var reply struct {
		OK    json.RawMessage `json:"ok"`
		Error string          `json:"error"`
	}
	if err := json.Unmarshal([]byte(p.line()), &reply); err != nil {
		p.t.Fatalf("a reply of %s: %v", p.name, err)
	}
	if reply.Error != "" {
		err = errors.New(reply.Error)
	}
	return reply.OK, err
}

// board is Bull Board on the lab's Redis, in a browser.
type board struct {
	t       *testing.T
	url     string
	browser *process
	shots   string
}

// openBoard opens Bull Board for the queues.
func openBoard(t *testing.T, redis *redistest.Server, queues ...string) *board {
	t.Helper()
	_, url := run(t, "board.js", append([]string{redis.Addr}, queues...)...)
	browser, ready := run(t, "browser.js", chromium(t), filepath.Join(t.TempDir(), "profile"))
	if ready != `{"ok":"ready"}` {
		t.Fatalf("chromium does not start: %s", ready)
	}
	shots := os.Getenv("TAKT_BULLBOARD_SHOTS")
	if shots == "" {
		shots = filepath.Join(os.TempDir(), "takt-bullboard")
	}
	if err := os.MkdirAll(shots, 0o755); err != nil {
		t.Fatal(err)
	}
	return &board{t: t, url: url, browser: browser, shots: shots}
}

// chromium returns where the browser is.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("chromium is not installed: run make bullboard")
	return ""
}

func (b *board) do(request map[string]any) json.RawMessage {
	b.t.Helper()
	value, err := b.browser.ask(request)
	if err != nil {
		b.shot("failed")
		b.t.Fatalf("%v: %v; the page says:\n%s", request, err, b.text("body"))
	}
	return value
}

// open shows a page of the board.
func (b *board) open(path string) {
	b.t.Helper()
	b.do(map[string]any{"op": "open", "url": b.url + path})
}

// click clicks what the selector finds first.
func (b *board) click(selector string) {
	b.t.Helper()
	b.do(map[string]any{"op": "click", "selector": selector})
}

// text returns what one reads in what the selector finds first.
func (b *board) text(selector string) string {
	b.t.Helper()
	value, err := b.browser.ask(map[string]any{"op": "text", "selector": selector})
	if err != nil {
		return ""
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		b.t.Fatal(err)
	}
	return text
}

// shot stores what the page looks like.
func (b *board) shot(name string) {
	b.t.Helper()
	_, _ = b.browser.ask(map[string]any{"op": "shot", "file": filepath.Join(b.shots, name+".png")})
}

// awaitText waits until one reads all of that in the page.
func (b *board) awaitText(selector string, want ...string) string {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text, missing := b.text(selector), ""
		for _, part := range want {
			if !strings.Contains(text, part) {
				missing = part
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(deadline) {
			b.shot("failed")
			b.t.Fatalf("waited %s for %q in %s, which says:\n%s", patience, missing, selector, text)
		}
		redistest.Pass(20 * time.Millisecond)
	}
}

// aria returns what a screen reader knows of what the selector finds first.
func (b *board) aria(selector string) string {
	b.t.Helper()
	var text string
	if err := json.Unmarshal(b.do(map[string]any{"op": "aria", "selector": selector}), &text); err != nil {
		b.t.Fatal(err)
	}
	return text
}

// menu chooses from the menu of the queue mail.
func (b *board) menu(item string) {
	b.t.Helper()
	b.open("/queue/mail")
	b.click(`main >> button >> nth=0`)
	b.click(`role=menuitem[name="` + item + `"]`)
}

// job presses the button of a job whose tooltip is the action, and confirms.
func (b *board) job(id, action string) {
	b.t.Helper()
	b.awaitText("main", id)
	b.do(map[string]any{"op": "clickTip", "selector": `main >> xpath=//a[contains(@href,"/` + id + `?")]/following::ul[1]`, "name": action})
	b.confirm()
}

// confirm says yes.
func (b *board) confirm() {
	b.t.Helper()
	b.click(`role=button[name="Confirm"]`)
}

// addJob fills in the form of a new job and sends it.
func (b *board) addJob(name string) {
	b.t.Helper()
	b.do(map[string]any{"op": "fill", "selector": `role=dialog >> internal:label="Job name"i`, "value": name})
	b.shot("add-job")
	b.click(`role=dialog >> role=button[name="Add"]`)
}

// awaitJobs waits until so many jobs of the state have the name.
func (b *board) awaitJobs(s *shop, state domain.State, name string, n int) {
	b.t.Helper()
	s.await(fmt.Sprintf("%d %s jobs named %s", n, state, name), func() bool { return s.jobsNamed(b.t.Context(), state, name) == n })
}

// wantNothingWrong checks that the board answered everything that the page
// asked for, and that the page did not stumble over it.
func (b *board) wantNothingWrong() {
	b.t.Helper()
	if wrong := b.do(map[string]any{"op": "wrong"}); string(wrong) != "[]" {
		b.t.Errorf("the page complains of %s", wrong)
	}
}
