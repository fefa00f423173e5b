package storage

// Numbers are store time in µs, or the latest number and one more, whichever
// is larger: they grow even over a restore from a backup.
// ?2 how many, ?3 whether the last one is a version.
const sqlNumbers = `
UPDATE ledgers SET
    number = @max(number, clock.at_us) + ?2,
    version = CASE WHEN ?3 THEN @max(number, clock.at_us) + ?2 ELSE version END,
    now_us = clock.at_us
FROM (SELECT @now AS at_us LIMIT 1) AS clock
WHERE namespace = ?1
RETURNING number, now_us`

const sqlJobs = `
SELECT j.job, j.cursor_ms, j.moved_by, j.paused, j.fingerprint, j.stamp
FROM @set(name text) CROSS JOIN ledger_jobs AS j
WHERE j.namespace = w.namespace AND j.job = w.name`

// Where connections break, the jobs that were moved belong to the answer, unless
// it is all of them. ?3 the session, ?4 how many there were to move.
const sqlNoteMoved = `
WITH moved AS (` + sqlMoveJobs + `),
    noted AS (UPDATE ledger_calls SET jobs = (SELECT coalesce(array_agg(m.job), '{}') FROM moved AS m)
        WHERE namespace = ?1 AND session = ?3 AND (SELECT count(*) FROM moved) < ?4)
SELECT job FROM moved`

// A number that is no longer the next one violates a constraint, and nothing of
// the write takes effect. So does the write itself when it comes in, late, after
// its repetition.
// ?2 the session, ?3 the number of the write.
const sqlNote = `
INSERT INTO ledger_calls AS c (namespace, session, call, number, now_us)
SELECT namespace, ?2, ?3, number, now_us FROM ledgers WHERE namespace = ?1` + nextCall

const nextCall = `
ON CONFLICT (namespace, session) DO UPDATE SET
    call = CASE WHEN c.call < excluded.call THEN excluded.call ELSE 0 END,
    number = excluded.number, now_us = excluded.now_us, jobs = NULL`

// Whoever waits no longer for a write uses up its number, unless it was carried
// out: it is refused if it is still to come. No write gets the number zero.
// ?2 the session, ?3 the number of the write.
const sqlCancel = `
INSERT INTO ledger_calls AS c (namespace, session, call, number, now_us)
SELECT ?1, ?2, ?3, 0, @now` + nextCall

// ?2 the session, ?3 the number of the write.
const sqlAnswer = `
SELECT number, now_us, jobs FROM ledger_calls WHERE namespace = ?1 AND session = ?2 AND call = ?3`

// Mostly no job has changed since it was read: then the answer is that all were
// moved, and any other one is an error that undoes the write. Claims need not be
// looked up then by whether their jobs were moved, nor jobs be named.
// ?3 how many there are to move.
const sqlMoveAll = `
WITH moved AS (` + sqlMoveJobs + `)
SELECT CASE WHEN count(*) = ?3 THEN 0 ELSE ('only ' || count(*) || ' jobs are as they were')::integer END FROM moved`

const claimColumns = `c.token, c.run, c.replica, c.fingerprint, c.phase, c.started, c.waits, c.cancelled, c.released,
    c.crashes, c.attempts, c.granted_us, c.deadline_us, c.pushed_by, c.pushed_owner`

const sqlOpen = `
SELECT ` + claimColumns + `
FROM @set(name text) CROSS JOIN ledger_claims AS c @via(ledger_claims_open)
WHERE c.namespace = w.namespace AND c.job = w.name AND c.phase < 3`

const sqlRemembered = `
SELECT ` + claimColumns + `
FROM @set(name text) CROSS JOIN ledger_claims AS c @via(ledger_claims_once)
WHERE c.namespace = w.namespace AND c.run = w.name AND NOT c.tick AND c.phase >= 3`

// SQLite has one writer at a time: nobody ends a claim meanwhile.
const sqlHoldBlockers = `
SELECT c.token
FROM @set(blocker bigint) JOIN ledger_claims AS c ON c.namespace = w.namespace AND c.token = w.blocker
ORDER BY c.token FOR SHARE OF c`

// ?2 the new stamp.
const sqlStampUnblocked = `
UPDATE ledger_jobs SET stamp = ?2
FROM @set(name text, blocker bigint)
WHERE ledger_jobs.namespace = w.namespace AND ledger_jobs.job = w.name
    AND NOT EXISTS (SELECT 1 FROM ledger_claims AS c
        WHERE c.namespace = w.namespace AND c.token = w.blocker AND c.phase + 0 < 3)`

// Jobs that changed since they were read keep another stamp, and so nothing of
// their decisions is written. ?2 the new stamp.
const sqlMoveJobs = `
UPDATE ledger_jobs SET
    cursor_ms = w.new_cursor_ms,
    moved_by = w.new_moved_by,
    version = CASE WHEN w.moved THEN (SELECT l.version FROM ledgers AS l WHERE l.namespace = ?1) ELSE version END,
    stamp = ?2
FROM @set(name text, old_stamp bigint, new_cursor_ms bigint, new_moved_by text, moved boolean)
WHERE ledger_jobs.namespace = w.namespace AND ledger_jobs.job = w.name AND ledger_jobs.stamp = w.old_stamp
RETURNING job`

// Whatever a new claim seldom is, changeClaims adds.
// ?2 how many numbers were given out.
const sqlOpenAll = `
INSERT INTO ledger_claims (namespace, token, run, job, tick, replica, fingerprint, phase, started, waits, cancelled,
    released, crashes, attempts, granted_us, deadline_us, ended_us, pushed_by, pushed_owner)
SELECT l.namespace, l.number - ?2 + w.token_at, w.run, w.name, w.run LIKE 'schedule:%', w.replica, w.fingerprint, w.phase,
    CASE WHEN w.started_at > 0 THEN l.number - ?2 + w.started_at ELSE 0 END, 1 = 0, 1 = 0, 1 = 0, 0, 0, l.now_us, l.now_us + w.lease_us, CASE WHEN w.phase >= 3 THEN l.now_us END, '', ''
FROM @set(token_at bigint, run text, name text, replica text, fingerprint text, phase bigint,
        started_at bigint, lease_us bigint)
    CROSS JOIN (SELECT namespace, number, now_us FROM ledgers WHERE namespace = ?1 LIMIT 1) AS l`

// ?3 the new stamp.
const sqlOpenClaims = sqlOpenAll + `
    JOIN ledger_jobs AS j ON j.namespace = w.namespace AND j.job = w.name AND j.stamp = ?3`

// A claim that its owner finished meanwhile stays finished. Adding nothing keeps
// the planners from the index of open claims, where one key stands for them all.
// A token below zero is that of a new claim, counted as its number is.
// ?2 the new stamp, ?3 how many numbers were given out.
const sqlChangeClaims = `
UPDATE ledger_claims SET
    phase = n.new_phase,
    started = CASE WHEN n.started_at > 0 THEN n.number - ?3 + n.started_at ELSE started END,
    waits = n.new_waits,
    cancelled = n.new_cancelled,
    deadline_us = CASE WHEN n.lease_us > 0 THEN n.now_us + n.lease_us ELSE deadline_us END,
    ended_us = CASE WHEN n.new_phase >= 3 THEN n.now_us END,
    pushed_by = n.new_pushed_by,
    pushed_owner = n.new_pushed_owner
FROM (SELECT w.*, l.number, l.now_us,
            CASE WHEN w.old_token < 0 THEN l.number - ?3 - w.old_token ELSE w.old_token END AS new_token
        FROM @set(old_token bigint, name text, new_phase bigint, started_at bigint, new_waits boolean, new_cancelled boolean,
                lease_us bigint, new_pushed_by text, new_pushed_owner text)
            CROSS JOIN (SELECT number, now_us FROM ledgers WHERE namespace = ?1 LIMIT 1) AS l
            CROSS JOIN ledger_jobs AS j
        WHERE j.namespace = w.namespace AND j.job = w.name AND j.stamp = ?2
        @fence) AS n
WHERE ledger_claims.namespace = n.namespace AND ledger_claims.token = n.new_token AND ledger_claims.phase + 0 < 3`
