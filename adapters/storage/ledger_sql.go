package storage

// ledgerSQL holds the statements of the ledger, written for one dialect. The
// first value of each is the namespace.
type ledgerSQL struct {
	now, numbers, note, answer, cancel        string
	jobs, open, remembered                    string
	holdBlockers, stampUnblocked              string
	moveJobs, openClaims, changeClaims        string
	moveAll, openAll                          string
	finish, endTicks, keepEnded               string
	ended, endedTicks, stampJobs              string
	renew, released, lapsed, takeOver, taken  string
	stampTaken, renamePushers                 string
	pause, resume                             string
	seen, replicas, news                      string
	newLedger, newRevisions, forgetRevisions  string
	touch, register, newJobs, join            string
	forgetReplicas, revalidate, dropUnused    string
	forgetTicks, forgetTickClaims, forgetRuns string
	forgetOldTicks, forgetOldRuns             string
	forgetCalls                               string
}

func newLedgerSQL(dialect Dialect) *ledgerSQL {
	s := &ledgerSQL{
		now: `SELECT @now WHERE ?1 <> ''`, numbers: sqlNumbers,
		jobs: sqlJobs, open: sqlOpen, remembered: sqlRemembered,
		stampUnblocked: sqlStampUnblocked, moveJobs: sqlMoveJobs, openClaims: sqlOpenClaims, changeClaims: sqlChangeClaims,
		finish: sqlFinish, endTicks: sqliteEndTicks, keepEnded: sqliteKeepEnded, ended: sqlEnded, endedTicks: sqlEndedTicks("json_each(e.tokens) AS u"), stampJobs: sqlStampJobs,
		renew: sqlRenew, released: sqlReleased, lapsed: sqlLapsed, takeOver: sqlTakeOver, taken: sqlTaken, stampTaken: sqlStampTaken, renamePushers: sqlRenamePushers,
		pause: sqlPause, resume: sqlResume,
		seen: sqlSeen, replicas: sqlReplicas, news: sqlNews,
		newLedger: sqlNewLedger, newRevisions: sqlNewRevisions, forgetRevisions: sqlForgetRevisions,
		touch: sqlTouch, register: sqlRegister, newJobs: sqlNewJobs, join: sqlJoin,
		forgetReplicas: sqlForgetReplicas, revalidate: sqlRevalidate, dropUnused: sqlDropUnused,
		forgetTicks: sqlForgetTicks, forgetTickClaims: sqlForgetMany("tick"), forgetRuns: sqlForgetMany("NOT tick"),
		forgetOldTicks: sqlForgetOld("ledger_ended WHERE"), forgetOldRuns: sqlForgetOld("ledger_claims WHERE phase >= 3 AND"),
	}
	if dialect == Postgres {
		s.endTicks, s.keepEnded, s.endedTicks = sqlEndTicks, "", sqlEndedTicks("unnest(e.tokens) AS u (value)")
		s.moveAll, s.openAll = sqlMoveAll, sqlOpenAll
		s.holdBlockers = sqlHoldBlockers
		s.moveJobs, s.note, s.answer, s.cancel, s.forgetCalls = sqlNoteMoved, sqlNote, sqlAnswer, sqlCancel, sqlForgetCalls
	}
	for _, text := range s.all() {
		*text = compile(dialect, *text)
	}
	return s
}

func (s *ledgerSQL) all() []*string {
	return []*string{
		&s.now, &s.numbers, &s.note, &s.answer, &s.cancel, &s.jobs, &s.open, &s.remembered, &s.holdBlockers, &s.stampUnblocked, &s.moveJobs, &s.openClaims, &s.changeClaims, &s.moveAll, &s.openAll,
		&s.finish, &s.endTicks, &s.keepEnded, &s.ended, &s.endedTicks, &s.stampJobs, &s.renew, &s.released, &s.lapsed, &s.takeOver, &s.taken, &s.stampTaken, &s.renamePushers, &s.pause, &s.resume,
		&s.seen, &s.replicas, &s.news, &s.newLedger, &s.newRevisions, &s.forgetRevisions,
		&s.touch, &s.register, &s.newJobs, &s.join, &s.forgetReplicas, &s.revalidate, &s.dropUnused,
		&s.forgetTicks, &s.forgetTickClaims, &s.forgetRuns, &s.forgetOldTicks, &s.forgetOldRuns, &s.forgetCalls,
	}
}
