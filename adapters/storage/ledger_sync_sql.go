package storage

// ?2 the replica, ?3 the digest of its definitions.
const sqlSeen = `
UPDATE ledger_replicas SET seen_us = (SELECT @now)
WHERE namespace = ?1 AND replica = ?2 AND digest = ?3
RETURNING replica`

// A sign of life from the future, left by a clock that was set back, is renewed.
// ?2 the lease of replicas in µs, ?3 after how many µs a sign of life is renewed.
const sqlReplicas = `
SELECT r.replica, r.digest, r.seen_us <= clock.at_us - ?2, r.seen_us <= clock.at_us - ?3 OR r.seen_us > clock.at_us,
    l.version, clock.at_us
FROM ledgers AS l CROSS JOIN (SELECT @now AS at_us LIMIT 1) AS clock
    JOIN ledger_replicas AS r ON r.namespace = l.namespace
WHERE l.namespace = ?1`

// someRegisteredOthers is true if a replica has other definitions registered than
// those of the digest ?3. While none has, the valid definitions of its jobs are its
// own: whatever changes the replicas makes the newest of their revisions valid in the
// same transaction, and no revision is numbered twice. Without a replica nobody keeps
// the answer.
const someRegisteredOthers = `(SELECT min(r.digest) <> ?3 OR max(r.digest) <> ?3 FROM ledger_replicas AS r WHERE r.namespace = ?1)`

// Without news the condition in the first line spares the look at the jobs. A
// version of the future belongs to a ledger that is gone: everything is news.
// The revision of a paused job is negative: a column less for each row.
// ?2 the latest version that the replica knows, ?3 the digest of its definitions.
const sqlNews = `
SELECT @packed(j.job, j.cursor_ms),
    @seldom(j.job, CASE WHEN j.paused THEN -j.revision ELSE j.revision END, j.paused OR j.revision <> 1),
    @seldom(j.job, j.fingerprint, ` + someRegisteredOthers + `)
FROM ledger_jobs AS j
WHERE (SELECT l.version <> ?2 FROM ledgers AS l WHERE l.namespace = ?1)
    AND j.namespace = ?1
    AND j.version > (SELECT CASE WHEN ?2 > l.version THEN 0 ELSE ?2 END FROM ledgers AS l WHERE l.namespace = ?1)`

const sqlNewLedger = `
INSERT INTO ledgers (namespace, number, version, now_us) VALUES (?1, 0, 0, 0) ON CONFLICT DO NOTHING`

const sqlNewRevisions = `
INSERT INTO ledger_revisions (namespace, job, revision, fingerprint)
SELECT l.namespace, w.name,
    coalesce((SELECT max(r.revision) FROM ledger_revisions AS r WHERE r.namespace = ?1 AND r.job = w.name), 0) + 1,
    w.print
FROM @set(name text, print text) JOIN ledgers AS l ON l.namespace = w.namespace
WHERE NOT EXISTS (SELECT 1 FROM ledger_revisions AS r
    WHERE r.namespace = ?1 AND r.job = w.name AND r.fingerprint = w.print)`

// Hardly any job has had so many definitions, which the first condition tells.
// ?2 how many definitions a job remembers; an older one would count as new.
const sqlForgetRevisions = `
DELETE FROM ledger_revisions WHERE namespace = ?1
    AND job IN (SELECT r.job FROM ledger_revisions AS r WHERE r.namespace = ?1 AND r.revision > ?2)
    AND revision <= (SELECT max(r.revision) - ?2 FROM ledger_revisions AS r
        WHERE r.namespace = ledger_revisions.namespace AND r.job = ledger_revisions.job)`

// ?2 the digest.
const sqlRegister = `
INSERT INTO ledger_registrations (namespace, digest, job, revision, fingerprint)
SELECT r.namespace, ?2, r.job, r.revision, r.fingerprint
FROM @set(name text, print text)
    JOIN ledger_revisions AS r ON r.namespace = w.namespace AND r.job = w.name AND r.fingerprint = w.print
WHERE true
ON CONFLICT DO NOTHING`

// What a replica registers and did not before is news to it.
// ?2 the replica, ?3 the digest of its new definitions.
const sqlTouch = `
UPDATE ledger_jobs SET version = (SELECT l.version FROM ledgers AS l WHERE l.namespace = ?1)
WHERE namespace = ?1 AND job IN (
    SELECT g.job FROM ledger_registrations AS g
        LEFT JOIN ledger_replicas AS r ON r.namespace = g.namespace AND r.replica = ?2
        LEFT JOIN ledger_registrations AS before
            ON before.namespace = g.namespace AND before.digest = r.digest AND before.job = g.job AND before.revision = g.revision
    WHERE g.namespace = ?1 AND g.digest = ?3 AND before.job IS NULL)`

// A job never seen starts at store time.
// ?2 the digest, ?3 the stamp.
const sqlNewJobs = `
INSERT INTO ledger_jobs (namespace, job, cursor_ms, moved_by, paused, revision, fingerprint, version, stamp)
SELECT g.namespace, g.job, l.now_us / 1000, '', false, g.revision, g.fingerprint, l.version, ?3
FROM ledger_registrations AS g JOIN ledgers AS l ON l.namespace = g.namespace
WHERE g.namespace = ?1 AND g.digest = ?2
ON CONFLICT DO NOTHING`

// ?2 the replica, ?3 the digest.
const sqlJoin = `
INSERT INTO ledger_replicas (namespace, replica, digest, seen_us)
SELECT namespace, ?2, ?3, now_us FROM ledgers WHERE namespace = ?1
ON CONFLICT (namespace, replica) DO UPDATE SET digest = excluded.digest, seen_us = excluded.seen_us`

// ?2 the lease of replicas in µs.
const sqlForgetReplicas = `
DELETE FROM ledger_replicas WHERE namespace = ?1 AND seen_us <= (SELECT l.now_us - ?2 FROM ledgers AS l WHERE l.namespace = ?1)`

// The newest revision that a replica registers is valid, from now on. While no
// replica registers a job its last one stays valid.
// ?2 the stamp.
const sqlRevalidate = `
UPDATE ledger_jobs SET
    revision = live.newest,
    fingerprint = live.print,
    cursor_ms = @max(cursor_ms, (SELECT l.now_us / 1000 FROM ledgers AS l WHERE l.namespace = ?1)),
    version = (SELECT l.version FROM ledgers AS l WHERE l.namespace = ?1),
    stamp = ?2
FROM (SELECT g.job AS name, g.revision AS newest, g.fingerprint AS print,
            row_number() OVER (PARTITION BY g.job ORDER BY g.revision DESC) AS nth
        FROM ledger_registrations AS g
        WHERE g.namespace = ?1 AND g.digest IN (SELECT r.digest FROM ledger_replicas AS r WHERE r.namespace = ?1)
    ) AS live
WHERE ledger_jobs.namespace = ?1 AND ledger_jobs.job = live.name AND live.nth = 1 AND ledger_jobs.revision <> live.newest`

const sqlDropUnused = `
DELETE FROM ledger_registrations WHERE namespace = ?1
    AND digest NOT IN (SELECT r.digest FROM ledger_replicas AS r WHERE r.namespace = ?1)`
