package ledgerhistory

import (
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// kind is a call of the ledger.
type kind string

const (
	claim     kind = "claim"
	renew     kind = "renew"
	finish    kind = "finish"
	abandoned kind = "abandoned"
)

// call is what a client asks about one job.
type call struct {
	kind kind
	job  string
	run  domain.RunKey
	// token is that of a held claim.
	token domain.ClaimToken
	// from and to are the cursor's step, in ms; both zero for none.
	from, to int64
	moveOnly bool
	slot     domain.Slot
	end      domain.RunEnd
}

// answer is what the ledger says.
type answer struct {
	verdict  domain.VerdictKind
	token    domain.ClaimToken
	phase    domain.Phase
	cursor   int64
	by       domain.RunKey
	held     bool
	taken    bool
	takenRun domain.RunKey
}

func (c call) String() string {
	text := fmt.Sprintf("%s %s", c.kind, c.run)
	if c.token != 0 {
		text += fmt.Sprint(" under ", c.token)
	}
	if c.to != 0 {
		text += fmt.Sprintf(" moving %d to %d", c.from, c.to)
	}
	if c.moveOnly {
		text += " only"
	}
	return fmt.Sprintf("%s slot %d end %d", text, c.slot, c.end)
}

func (a answer) String() string {
	return fmt.Sprintf("%q token %d phase %d cursor %d by %s held %t taken %t %s",
		a.verdict, a.token, a.phase, a.cursor, a.by, a.held, a.taken, a.takenRun)
}
