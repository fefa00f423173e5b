-- +goose Up

-- How often kinds were removed: who remembers numbers of kinds learns from it that they
-- may be out of date. A trigger counts, for workers of the version before do not.
ALTER TABLE histories ADD COLUMN forgotten bigint NOT NULL DEFAULT 0;

-- +goose StatementBegin
CREATE FUNCTION history_kinds_are_forgotten() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE histories SET forgotten = forgotten + 1 WHERE space IN (SELECT space FROM gone);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER history_kinds_forgotten AFTER DELETE ON history_kinds REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION history_kinds_are_forgotten();

-- +goose Down
DROP TRIGGER history_kinds_forgotten ON history_kinds;
DROP FUNCTION history_kinds_are_forgotten;
ALTER TABLE histories DROP COLUMN forgotten;
