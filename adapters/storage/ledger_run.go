package storage

import (
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// runText names a run in the ledger: its origin, its planned instant in ms,
// its job and, if it has one, its id. No two runs have one name, for neither
// origins hold a colon nor names of jobs an @.
func runText(run domain.RunKey) string {
	text := string(run.Origin) + ":" + strconv.FormatInt(run.PlannedMS, 10) + ":" + run.Job
	if run.OriginID != "" {
		text += "@" + run.OriginID
	}
	return text
}

// parseRun returns the run that the text names.
func parseRun(text string) (domain.RunKey, error) {
	origin, rest, _ := strings.Cut(text, ":")
	planned, rest, found := strings.Cut(rest, ":")
	ms, err := strconv.ParseInt(planned, 10, 64)
	if !found || err != nil || !isOrigin(domain.Origin(origin)) {
		return domain.RunKey{}, domain.Invalidf("%s is no run", domain.Quote(text))
	}
	job, id, _ := strings.Cut(rest, "@")
	return domain.RunKey{Job: job, Origin: domain.Origin(origin), OriginID: id, PlannedMS: ms}, nil
}

func isOrigin(origin domain.Origin) bool {
	switch origin {
	case domain.OriginSchedule, domain.OriginManual, domain.OriginBackfill, domain.OriginStart:
		return true
	}
	return false
}
