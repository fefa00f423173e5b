package redisqueue

import (
	"time"

	"github.com/taktwork/takt/core/domain"
)

// WithReplicaLease returns the ledger with another lease of replicas.
func (l *Ledger) WithReplicaLease(lease time.Duration) *Ledger {
	l.replicaLease = lease
	return l
}

// ReadLedgerReply reads the reply as each script of the ledger might have given it.
func ReadLedgerReply(reply any, count int) (errs map[string]error) {
	errs = map[string]error{}
	_, errs["claim"] = appendVerdicts(nil, reply, make([]domain.Intent, count))
	_, errs["renew"] = appendRenewals(nil, reply, count)
	_, errs["finish"] = appendHeld(nil, reply, count)
	_, errs["abandoned"] = readAbandoned(reply, time.Minute)
	_, errs["sync"] = readSync(reply)
	_, errs["dispatch"] = readDispatched(reply, count)
	return errs
}

// ReadVerdicts reads a reply of the script that claims.
func ReadVerdicts(reply any, intents []domain.Intent) ([]domain.Verdict, error) {
	return appendVerdicts(nil, reply, intents)
}

// Pack writes a list of values as scripts read them.
func Pack(text string, number int64, flag bool) string {
	p := newPacker(0)
	p.list(3)
	p.text(text)
	p.number(number)
	p.flag(flag)
	return p.String()
}

// Unpack reads what Pack wrote, or a script.
func Unpack(packed any) (text string, number int64, flag bool, err error) {
	u := unpackerOf(packed)
	u.want(u.list() == 3)
	return u.string(), u.long(), u.flag(), u.end()
}
