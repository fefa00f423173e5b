-- +goose Up

-- One row for each namespace.
CREATE TABLE ledgers (
    namespace text PRIMARY KEY,
    number    integer NOT NULL, -- the latest number given out: tokens, versions, starts
    version   integer NOT NULL, -- the number of the latest change that is news to replicas
    now_us    integer NOT NULL  -- when a number was last given out, µs since 1970
) WITHOUT ROWID;

-- The scheduled jobs. stamp is new after each change that a decision may rest on.
CREATE TABLE ledger_jobs (
    namespace   text NOT NULL,
    job         text NOT NULL,
    cursor_ms   integer  NOT NULL, -- the latest decided tick, ms since 1970
    moved_by    text    NOT NULL, -- the replica that decided it
    paused      integer NOT NULL,
    revision    integer  NOT NULL, -- the valid revision, and its fingerprint
    fingerprint text    NOT NULL,
    version     integer  NOT NULL,
    stamp       integer  NOT NULL,
    PRIMARY KEY (namespace, job)
) WITHOUT ROWID;

-- The claims of runs, and for a while those that have ended. run is
-- origin:planned ms:job, with @id unless it is a tick.
CREATE TABLE ledger_claims (
    namespace    text NOT NULL,
    token        integer   NOT NULL,
    run          text NOT NULL,
    job          text NOT NULL,
    tick         integer  NOT NULL,
    replica      text     NOT NULL,
    fingerprint  text     NOT NULL,
    phase        integer NOT NULL, -- 1 claimed, 2 started, 3 fired, 4 finished
    started      integer   NOT NULL, -- the number of its start: it holds the slot; or 0
    waits        integer  NOT NULL, -- it is next in the slot
    cancelled    integer  NOT NULL, -- a newer run asks it to give way
    released     integer  NOT NULL, -- it has no owner until it is taken over
    crashes      integer  NOT NULL,
    attempts     integer  NOT NULL,
    granted_us   integer   NOT NULL,
    deadline_us  integer   NOT NULL, -- the end of its lease
    ended_us     integer,
    pushed_by    text     NOT NULL, -- the run that took its place in the wait, and that run's replica
    pushed_owner text     NOT NULL,
    PRIMARY KEY (namespace, token)
) WITHOUT ROWID;
CREATE INDEX ledger_claims_open ON ledger_claims (namespace, job) WHERE phase < 3;
CREATE UNIQUE INDEX ledger_claims_once ON ledger_claims (namespace, run) WHERE NOT tick;

-- The replicas that gave a sign of life lately, and which definitions they have.
CREATE TABLE ledger_replicas (
    namespace text NOT NULL,
    replica   text NOT NULL,
    digest    text NOT NULL,
    seen_us   integer NOT NULL,
    PRIMARY KEY (namespace, replica)
) WITHOUT ROWID;

-- Sets of definitions by their digest: replicas with equal ones share them.
CREATE TABLE ledger_registrations (
    namespace   text NOT NULL,
    digest      text NOT NULL,
    job         text NOT NULL,
    revision    integer NOT NULL,
    fingerprint text   NOT NULL,
    PRIMARY KEY (namespace, digest, job)
) WITHOUT ROWID;

-- The latest definitions of each job, numbered as they came.
CREATE TABLE ledger_revisions (
    namespace   text NOT NULL,
    job         text NOT NULL,
    revision    integer NOT NULL,
    fingerprint text   NOT NULL,
    PRIMARY KEY (namespace, job, revision)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE ledger_revisions;
DROP TABLE ledger_registrations;
DROP TABLE ledger_replicas;
DROP TABLE ledger_claims;
DROP TABLE ledger_jobs;
DROP TABLE ledgers;
