-- +goose Up

-- The ticks that ended last: those of one call each, by the last of their tokens. Ends
-- before this table was there are in ledger_claims, where workers of the version before
-- go on to look for theirs.
CREATE TABLE ledger_ended (
    namespace text    NOT NULL,
    token     integer NOT NULL,
    count     integer NOT NULL,
    ended_us  integer NOT NULL,
    tokens    text    NOT NULL, -- a JSON array
    PRIMARY KEY (namespace, token)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE ledger_ended;
