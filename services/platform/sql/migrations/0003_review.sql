-- What a drill leaves behind for people: corrections to its timeline, improvement items, and drills from elsewhere.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'A drill''s timeline is corrected with `muster drill correct`, which adds to it.';
END
$$;
COMMENT ON FUNCTION refuse_change IS 'Holds a table to what was written: rows are added and never edited or taken away.';

-- Rows of every partition, those still to be made included; only its owner can drop a partition as a whole.
CREATE TRIGGER timeline_append_only BEFORE UPDATE OR DELETE ON timeline FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER timeline_not_emptied BEFORE TRUNCATE ON timeline FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE drills
    ADD COLUMN directory text REFERENCES directories,
    ADD COLUMN imported_at timestamptz,
    ADD COLUMN imported_digest text;
COMMENT ON COLUMN drills.directory IS 'The directory that gave the departments their names, where it isn''t the one that was in force here at STARTEX.';
COMMENT ON COLUMN drills.imported_at IS 'When the drill came from another Muster, by the wall clock; null for one that was run here.';

CREATE TABLE corrections (
    id uuid PRIMARY KEY,
    drill_id uuid NOT NULL REFERENCES drills,
    entry_id uuid NOT NULL,
    status text NOT NULL CHECK (status = 'Exercise'),
    occurred_at timestamptz,
    note text,
    reason text NOT NULL CHECK (reason <> ''),
    by text NOT NULL CHECK (by <> ''),
    recorded_at timestamptz NOT NULL,
    CHECK (num_nonnulls(occurred_at, note) > 0)
);
COMMENT ON TABLE corrections IS 'What a person says about a timeline entry afterwards: when it really happened, or a note. The entry itself stays; the latest time counts.';
CREATE INDEX corrections_drill ON corrections (drill_id);
CREATE TRIGGER corrections_append_only BEFORE UPDATE OR DELETE ON corrections FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE improvements (
    id uuid PRIMARY KEY,
    drill_id uuid NOT NULL REFERENCES drills,
    status text NOT NULL CHECK (status = 'Exercise'),
    finding text NOT NULL,
    title jsonb NOT NULL,
    added_at timestamptz NOT NULL,
    UNIQUE (drill_id, finding)
);
COMMENT ON TABLE improvements IS 'What a drill showed must be better. finding names the gap, so that a report proposes each only once; owner, date and state are in the history.';
CREATE TRIGGER improvements_append_only BEFORE UPDATE OR DELETE ON improvements FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE improvement_history (
    id uuid PRIMARY KEY,
    improvement_id uuid NOT NULL REFERENCES improvements,
    status text NOT NULL CHECK (status = 'Exercise'),
    action text NOT NULL CHECK (action IN ('proposed', 'added', 'assigned', 'closed', 'reopened')),
    owner text,
    due date,
    by text NOT NULL CHECK (by <> ''),
    reason text,
    at timestamptz NOT NULL
);
COMMENT ON TABLE improvement_history IS 'Everything that was decided about an improvement item, in order; where an action names no owner or date, the one before holds.';
CREATE INDEX improvement_history_item ON improvement_history (improvement_id, at);
CREATE TRIGGER improvement_history_append_only BEFORE UPDATE OR DELETE ON improvement_history
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
