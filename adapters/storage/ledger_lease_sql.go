package storage

// theirClaims are those of a set that their owners hold.
const theirClaims = `ledger_claims.namespace = w.namespace AND ledger_claims.token = w.old_token AND ledger_claims.run = w.old_run
    AND ledger_claims.phase + 0 < 3 AND NOT ledger_claims.released`

// Of a run that has ended phase is 3 or 4, of one that was released 0.
const sqlFinish = `
UPDATE ledger_claims SET
    phase = CASE WHEN w.end_phase > 0 THEN w.end_phase ELSE phase END,
    released = (w.end_phase = 0),
    waits = CASE WHEN w.end_phase > 0 THEN false ELSE waits END,
    attempts = CASE WHEN w.end_phase > 0 THEN attempts ELSE w.new_attempts END,
    deadline_us = CASE WHEN w.end_phase > 0 THEN deadline_us ELSE clock.at_us END,
    ended_us = CASE WHEN w.end_phase > 0 THEN clock.at_us END
FROM @set(old_token bigint, old_run text, end_phase bigint, new_attempts bigint)
    CROSS JOIN (SELECT @now AS at_us LIMIT 1) AS clock
WHERE ` + theirClaims + `
RETURNING token`

// A tick that has ended leaves its token alone: its cursor tells that it was
// decided. To keep its row would cost more than all else that is written for it.
// The tokens of a call are kept by the last of them: one that took long is the first.
const sqlEndTicks = `
WITH ended AS (
    DELETE FROM ledger_claims USING @set(old_token bigint, old_run text)
    WHERE ` + theirClaims + `
    RETURNING token
), kept AS (
    INSERT INTO ledger_ended (namespace, token, count, ended_us, tokens)
    SELECT ?1, max(token), count(*), @now, array_agg(token) FROM ended HAVING count(*) > 0
    ON CONFLICT DO NOTHING
)
SELECT token FROM ended`

// On SQLite these are two statements, with one result.
const (
	sqliteKeepEnded = `
INSERT INTO ledger_ended (namespace, token, count, ended_us, tokens)
SELECT ?1, max(token), count(*), @now, json_group_array(token)
FROM @set(old_token bigint, old_run text) CROSS JOIN ledger_claims
WHERE ` + theirClaims + `
HAVING count(*) > 0
ON CONFLICT DO NOTHING`
	sqliteEndTicks = `
DELETE FROM ledger_claims
WHERE namespace = ?1 AND (token, run) IN (SELECT w.old_token, w.old_run FROM @set(old_token bigint, old_run text))
    AND phase + 0 < 3 AND NOT released
RETURNING token`
)

const sqlEnded = `
SELECT c.token, c.run, c.phase >= 3
FROM @set(old_token bigint) CROSS JOIN ledger_claims AS c
WHERE c.namespace = w.namespace AND c.token = w.old_token`

// sqlEndedTicks looks at all that are kept, for it is seldom asked for. Unless
// the condition is hidden from them, planners compare each with each.
func sqlEndedTicks(each string) string {
	return `
SELECT u.value FROM ledger_ended AS e CROSS JOIN ` + each + `
WHERE e.namespace = ?1 AND (u.value IN (SELECT w.old_token FROM @set(old_token bigint))) IS TRUE`
}

// ?2 the new stamp.
const sqlStampJobs = `
UPDATE ledger_jobs SET stamp = ?2
FROM @set(name text)
WHERE ledger_jobs.namespace = w.namespace AND ledger_jobs.job = w.name`

// ?2 the lease in µs.
const sqlRenew = `
UPDATE ledger_claims SET deadline_us = clock.at_us + ?2
FROM @set(old_token bigint, old_run text) CROSS JOIN (SELECT @now AS at_us LIMIT 1) AS clock
WHERE ` + theirClaims + `
RETURNING token, cancelled`

// lapsedBy and andMine are around a time: the claims that the replica may take over
// then. Without the fence Postgres looks for claims of each job that the replica has
// registered, and not for jobs of lapsed claims.
// ?2 the replica.
const (
	lapsedBy = `
FROM ledger_claims AS c @via(ledger_claims_open)
WHERE c.namespace = ?1 AND c.phase < 3 AND c.deadline_us <= `
	andMine = `
    AND EXISTS (SELECT 1 FROM ledger_replicas AS r
        JOIN ledger_registrations AS g ON g.namespace = r.namespace AND g.digest = r.digest
        WHERE r.namespace = ?1 AND r.replica = ?2 AND g.job = c.job
        @fence)`
)

// ?2 the replica.
const sqlReleased = `
SELECT @now, EXISTS (SELECT 1 FROM ledger_claims AS c @via(ledger_claims_released)
    WHERE c.namespace = ?1 AND c.released AND c.phase < 3 AND c.deadline_us <= (SELECT @now)` + andMine + `)`

// A claim that lapses while its answer is made up must not be missing in both parts.
// ?2 the replica, ?3 the store's time.
const sqlLapsed = `
SELECT EXISTS (SELECT 1` + lapsedBy + `?3` + andMine + `),
    (SELECT min(c.deadline_us) FROM ledger_claims AS c @via(ledger_claims_open)
        WHERE c.namespace = ?1 AND c.phase < 3 AND c.deadline_us > ?3)`

// The claim that lapsed first gets the first number. Whoever renews or ends
// one meanwhile keeps it. The ledger's now_us may lie before the wait for its
// lock, and what was released since would be overlooked.
// ?2 the replica, ?3 how many numbers were given out, ?4 the lease in µs.
const sqlTakeOver = `
UPDATE ledger_claims SET
    token = l.number - ?3 + w.nth,
    crashes = crashes + CASE WHEN phase = 2 AND NOT released THEN 1 ELSE 0 END,
    released = false,
    replica = ?2,
    deadline_us = l.now_us + ?4
FROM (SELECT c.token AS old_token, row_number() OVER (ORDER BY c.deadline_us, c.token) AS nth` + lapsedBy + `(SELECT @now)` + andMine + `
        ORDER BY c.deadline_us, c.token LIMIT ?3) AS w
    CROSS JOIN ledgers AS l
WHERE l.namespace = ?1 AND ledger_claims.namespace = ?1 AND ledger_claims.token = w.old_token
    AND ledger_claims.phase < 3 AND ledger_claims.deadline_us <= (SELECT @now)
RETURNING token, run, ledger_claims.fingerprint, phase, crashes, attempts, granted_us`

// What was taken over with the numbers after ?2, ?3 of them.
const sqlTaken = `
SELECT token, run, fingerprint, phase, crashes, attempts, granted_us FROM ledger_claims
WHERE namespace = ?1 AND token > ?2 AND token <= ?2 + ?3 AND phase + 0 < 3`

// ?2 the new stamp, ?3 how many numbers were given out.
const sqlStampTaken = `
UPDATE ledger_jobs SET stamp = ?2
FROM (SELECT DISTINCT c.namespace, c.job FROM ledger_claims AS c
        WHERE c.namespace = ?1 AND c.token > (SELECT l.number - ?3 FROM ledgers AS l WHERE l.namespace = ?1)
        @fence) AS t
WHERE ledger_jobs.namespace = t.namespace AND ledger_jobs.job = t.job`

// The runs that gave way to what was taken over name its new owner.
// ?2 the replica, ?3 how many numbers were given out.
const sqlRenamePushers = `
UPDATE ledger_claims @via(ledger_claims_open) SET pushed_owner = ?2
FROM (SELECT c.namespace, c.job AS name, c.run AS pusher FROM ledger_claims AS c
        WHERE c.namespace = ?1 AND c.token > (SELECT l.number - ?3 FROM ledgers AS l WHERE l.namespace = ?1)
        @fence) AS t
WHERE ledger_claims.namespace = t.namespace AND ledger_claims.job = t.name AND ledger_claims.phase < 3
    AND ledger_claims.pushed_by = t.pusher`

const sqlPause = `
UPDATE ledger_jobs SET paused = true, stamp = ?2,
    version = (SELECT l.version FROM ledgers AS l WHERE l.namespace = ?1)
WHERE namespace = ?1 AND job = ?3
RETURNING job`

const sqlResume = `
UPDATE ledger_jobs SET paused = false, stamp = ?2,
    cursor_ms = CASE WHEN paused THEN @max(cursor_ms, (SELECT l.now_us / 1000 FROM ledgers AS l WHERE l.namespace = ?1)) ELSE cursor_ms END,
    version = (SELECT l.version FROM ledgers AS l WHERE l.namespace = ?1)
WHERE namespace = ?1 AND job = ?3
RETURNING job`

// sqlForgetMany forgets claims that have ended beyond the latest ?2. Those of ticks
// are few: a run in their way ended them, or a worker of an earlier version.
func sqlForgetMany(which string) string {
	return `
DELETE FROM ledger_claims WHERE namespace = ?1 AND phase >= 3 AND ` + which + ` AND token <= (
    SELECT c.token FROM ledger_claims AS c
    WHERE c.namespace = ?1 AND c.phase >= 3 AND ` + which + ` ORDER BY c.token DESC LIMIT 1 OFFSET ?2)`
}

// sqlForgetTicks forgets ended ticks beyond the latest ?2, and more of one call.
const sqlForgetTicks = `
DELETE FROM ledger_ended WHERE namespace = ?1 AND token <= (
    SELECT max(e.token)
    FROM (SELECT token, sum(count) OVER (ORDER BY token DESC) - count AS later FROM ledger_ended WHERE namespace = ?1) AS e
    WHERE e.later >= ?2)`

// sqlForgetOld forgets what ended ?2 µs ago. A run ends after its token was given out,
// and tokens are times unless very many are given out.
func sqlForgetOld(from string) string {
	return `
DELETE FROM ` + from + ` namespace = ?1 AND token <= (SELECT @now) - ?2 AND ended_us <= (SELECT @now) - ?2`
}

// What a process that is gone was answered last. ?2 since how many µs it is gone.
const sqlForgetCalls = `
DELETE FROM ledger_calls WHERE namespace = ?1 AND now_us <= (SELECT @now) - ?2`
