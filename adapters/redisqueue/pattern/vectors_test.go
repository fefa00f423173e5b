package pattern_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // whatever the machine has

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// vector is one question of testdata/vectors.json, with the answers of
// cron-parser 4.9 and 5.10: the seconds to the next match, none or refused.
type vector struct {
	expression, zone string
	after            int64
	four, five       string
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	var file struct {
		Zones, Expressions []string
		Cases              [][]any
	}
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	vectors := make([]vector, len(file.Cases))
	for i, c := range file.Cases {
		number := func(i int) int64 { return int64(c[i].(float64)) }
		vectors[i] = vector{
			expression: file.Expressions[number(0)], zone: file.Zones[number(1)], after: number(2),
			four: fmt.Sprint(c[3]), five: fmt.Sprint(c[len(c)-1]),
		}
	}
	return vectors
}

func answer(v *vector) string {
	p, err := pattern.Parse(v.expression, v.zone)
	if err != nil {
		return "refused"
	}
	next, ok := p.Next(time.Unix(v.after, 0))
	if !ok {
		return "none"
	}
	return fmt.Sprint(float64(next.Unix() - v.after))
}

// The answers are those of 4.9, but those of 5.10 in what that one mends: the
// package documentation says what.
func TestPatternsMatchWhenTheyDoInNode(t *testing.T) {
	t.Parallel()
	vectors := readVectors(t)
	if len(vectors) < 5000 {
		t.Errorf("%d vectors, want thousands", len(vectors))
	}
	asFive := 0
	for _, v := range vectors {
		want := v.four
		if strings.Contains(v.expression, "#") && v.five != "refused" {
			want = v.five
		}
		if want != v.four {
			asFive++
		}
		if got := answer(&v); got != want {
			t.Errorf("%q in %s after %d: %s, want %s; cron-parser 4.9 says %s, 5.10 %s", v.expression, v.zone, v.after, got, want, v.four, v.five)
		}
	}
	if asFive == 0 {
		t.Error("no vector is answered as by 5.10, want some")
	}
}
