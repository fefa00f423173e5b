-- +goose Up

-- The claims that were given back: mostly there is none.
CREATE INDEX ledger_claims_released ON ledger_claims (namespace) WHERE released AND phase < 3;

-- +goose Down
DROP INDEX ledger_claims_released;
