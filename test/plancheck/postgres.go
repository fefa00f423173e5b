package plancheck

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/taktwork/takt/test/pgtest"
)

// Plan is how a statement was carried out.
type Plan struct {
	Query string
	Scans []Scan
}

// Scan is one look at a table.
type Scan struct {
	Table string
	// How is the server's word, such as Seq Scan.
	How string
	// Index is empty if none was used.
	Index string
	// Read is how many rows were read, those included that were not wanted.
	Read int
}

func (s Scan) String() string {
	return fmt.Sprintf("%s on %s using %q reads %d rows", s.How, s.Table, s.Index, s.Read)
}

// Watch notes how a server carries out all statements of connections that are
// opened after [WatchServer].
type Watch struct {
	server *pgtest.Server
	seen   int
}

// WatchServer makes the server explain what it does.
func WatchServer(tb testing.TB, server *pgtest.Server) *Watch {
	tb.Helper()
	for _, setting := range []string{
		"session_preload_libraries = auto_explain", "auto_explain.log_min_duration = 0", "auto_explain.log_analyze = on",
		"auto_explain.log_timing = off", "auto_explain.log_format = json",
	} {
		pgtest.Exec(tb, server.URI, "ALTER DATABASE postgres SET "+setting)
	}
	return &Watch{server: server, seen: len(server.Log())}
}

// Plans returns how statements were carried out since the last call.
func (w *Watch) Plans(tb testing.TB) []Plan {
	tb.Helper()
	log := w.server.Log()
	var plans []Plan
	for _, text := range plansIn(log[w.seen:]) {
		var explained struct {
			Query string `json:"Query Text"`
			Plan  node
		}
		if err := json.Unmarshal([]byte(text), &explained); err != nil {
			tb.Fatalf("plan %s: %v", text, err)
		}
		plans = append(plans, Plan{Query: explained.Query, Scans: explained.Plan.scans(nil)})
	}
	w.seen = len(log)
	return plans
}

// plansIn returns the texts of the plans in a log: the lines of each after its
// first begin with a tab.
func plansIn(log string) []string {
	var plans []string
	var text strings.Builder
	within := false
	for line := range strings.Lines(log) {
		continued, isContinued := strings.CutPrefix(line, "\t")
		switch {
		case within && isContinued:
			text.WriteString(continued)
			continue
		case within:
			plans = append(plans, text.String())
			text.Reset()
		}
		within = strings.HasSuffix(line, " plan:\n")
	}
	if within {
		plans = append(plans, text.String())
	}
	return plans
}

// node is a part of a plan.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Recheck  float64 `json:"Rows Removed by Index Recheck"`
	Joined   float64 `json:"Rows Removed by Join Filter"`
	Plans    []node
}

func (n *node) scans(found []Scan) []Scan {
	if n.Relation != "" && n.Type != "ModifyTable" {
		index := n.Index
		if len(n.Plans) == 1 {
			index = cmp.Or(index, n.Plans[0].Index) // of a bitmap
		}
		found = append(found, Scan{
			Table: n.Relation, How: n.Type, Index: index, Read: int((n.Rows + n.Filtered + n.Recheck) * n.Loops),
		})
	}
	for i := range n.Plans {
		found = n.Plans[i].scans(found)
	}
	return found
}
