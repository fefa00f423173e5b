-- +goose Up

-- One row for each namespace. Who changes jobs of the namespace, or gives out
-- numbers, holds its lock until commit: so numbers become visible in their order.
CREATE TABLE ledgers (
    namespace text COLLATE "C" PRIMARY KEY,
    number    bigint NOT NULL, -- the latest number given out: tokens, versions, starts
    version   bigint NOT NULL, -- the number of the latest change that is news to replicas
    now_us    bigint NOT NULL  -- when that lock was last taken, µs since 1970
) WITH (fillfactor = 10);

-- The scheduled jobs. stamp is new after each change that a decision may rest on.
CREATE TABLE ledger_jobs (
    namespace   text COLLATE "C" NOT NULL,
    job         text COLLATE "C" NOT NULL,
    cursor_ms   bigint  NOT NULL, -- the latest decided tick, ms since 1970
    moved_by    text    NOT NULL, -- the replica that decided it
    paused      boolean NOT NULL,
    revision    bigint  NOT NULL, -- the valid revision, and its fingerprint
    fingerprint text    NOT NULL,
    version     bigint  NOT NULL,
    stamp       bigint  NOT NULL,
    PRIMARY KEY (namespace, job)
) WITH (fillfactor = 50); -- room for updates in place: no index holds what they change

-- The claims of runs, and for a while those that have ended. run is
-- origin:planned ms:job, with @id unless it is a tick.
CREATE TABLE ledger_claims (
    namespace    text COLLATE "C" NOT NULL,
    token        bigint   NOT NULL,
    run          text COLLATE "C" NOT NULL,
    job          text COLLATE "C" NOT NULL,
    tick         boolean  NOT NULL,
    replica      text     NOT NULL,
    fingerprint  text     NOT NULL,
    phase        smallint NOT NULL, -- 1 claimed, 2 started, 3 fired, 4 finished
    started      bigint   NOT NULL, -- the number of its start: it holds the slot; or 0
    waits        boolean  NOT NULL, -- it is next in the slot
    cancelled    boolean  NOT NULL, -- a newer run asks it to give way
    released     boolean  NOT NULL, -- it has no owner until it is taken over
    crashes      integer  NOT NULL,
    attempts     integer  NOT NULL,
    granted_us   bigint   NOT NULL,
    deadline_us  bigint   NOT NULL, -- the end of its lease
    ended_us     bigint,
    pushed_by    text     NOT NULL, -- the run that took its place in the wait, and that run's replica
    pushed_owner text     NOT NULL,
    PRIMARY KEY (namespace, token)
);
CREATE INDEX ledger_claims_open ON ledger_claims (namespace, job) WHERE phase < 3;
CREATE UNIQUE INDEX ledger_claims_once ON ledger_claims (namespace, run) WHERE NOT tick;

-- The replicas that gave a sign of life lately, and which definitions they have.
CREATE TABLE ledger_replicas (
    namespace text COLLATE "C" NOT NULL,
    replica   text COLLATE "C" NOT NULL,
    digest    text COLLATE "C" NOT NULL,
    seen_us   bigint NOT NULL,
    PRIMARY KEY (namespace, replica)
) WITH (fillfactor = 50);

-- Sets of definitions by their digest: replicas with equal ones share them.
CREATE TABLE ledger_registrations (
    namespace   text COLLATE "C" NOT NULL,
    digest      text COLLATE "C" NOT NULL,
    job         text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    fingerprint text   NOT NULL,
    PRIMARY KEY (namespace, digest, job)
);

-- The latest definitions of each job, numbered as they came.
CREATE TABLE ledger_revisions (
    namespace   text COLLATE "C" NOT NULL,
    job         text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    fingerprint text   NOT NULL,
    PRIMARY KEY (namespace, job, revision)
);

-- The latest write of each caller and what it was answered: who lost the answer
-- with the connection asks again.
CREATE TABLE ledger_calls (
    namespace text COLLATE "C" NOT NULL,
    session   bigint NOT NULL,
    call      bigint NOT NULL, -- the number of the write
    number    bigint NOT NULL, -- the latest number that it got
    now_us    bigint NOT NULL,
    jobs      text[],          -- the jobs that it concerned, unless it is all that it was to
    PRIMARY KEY (namespace, session),
    CONSTRAINT ledger_calls_once CHECK (call > 0)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE ledger_calls;
DROP TABLE ledger_revisions;
DROP TABLE ledger_registrations;
DROP TABLE ledger_replicas;
DROP TABLE ledger_claims;
DROP TABLE ledger_jobs;
DROP TABLE ledgers;
