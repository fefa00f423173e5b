-- +goose Up

-- The ticks that ended last: those of one call each, by the last of their tokens. Ends
-- before this table was there are in ledger_claims, where workers of the version before
-- go on to look for theirs.
CREATE TABLE ledger_ended (
    namespace text COLLATE "C" NOT NULL,
    token     bigint   NOT NULL,
    count     integer  NOT NULL,
    ended_us  bigint   NOT NULL,
    tokens    bigint[] NOT NULL,
    PRIMARY KEY (namespace, token)
);

-- +goose Down
DROP TABLE ledger_ended;
