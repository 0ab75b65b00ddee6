-- Each incident's timeline is a chain: an entry carries its place, and a hash over what it says and the hash before it.
-- services/platform/chain.py says how the hash is made; entries from before are given theirs when this is applied.

ALTER TABLE timeline
    ADD COLUMN number integer,
    ADD COLUMN salt bytea,
    ADD COLUMN hash bytea,
    ADD COLUMN withheld bytea;
COMMENT ON COLUMN timeline.number IS 'Its place in its incident''s chain, from 1.';
COMMENT ON COLUMN timeline.salt IS 'Random; keeps the digest of personal data from being guessed, and is erased with it.';
COMMENT ON COLUMN timeline.hash IS 'SHA-256 over the hash before it, what the entry says, and the digest of what it says of people.';
COMMENT ON COLUMN timeline.withheld IS 'The digest of personal data that was erased from the entry; null where nothing was.';

CREATE TABLE chains (
    incident_id uuid PRIMARY KEY,
    status text NOT NULL,
    number integer NOT NULL,
    hash bytea NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE chains IS 'The last entry of each incident''s chain: its head, which is published with every entry.';
ALTER TABLE chains ENABLE ROW LEVEL SECURITY;
CREATE POLICY actual ON chains TO muster_actual USING (status = 'Actual');
CREATE POLICY exercise ON chains TO muster_exercise USING (status IN ('Exercise', 'Test'));
GRANT SELECT, INSERT, UPDATE ON chains TO muster_actual, muster_exercise;

CREATE FUNCTION refuse_timeline_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erasable CONSTANT text[] := '{by,reason,detail,salt,withheld}';
BEGIN
    -- Erasing what an entry says of people is the one change there is: all else stays, and the digest takes its place.
    IF TG_OP = 'UPDATE' AND OLD.withheld IS NULL AND NEW.withheld IS NOT NULL AND OLD.detail @> NEW.detail
        AND to_jsonb(NEW) @> '{"by": null, "reason": null, "salt": null}'
        AND to_jsonb(NEW) - erasable = to_jsonb(OLD) - erasable
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', HINT = 'A drill''s timeline is corrected with `muster drill correct`, which adds to it.';
END
$$;
DROP TRIGGER timeline_append_only ON timeline;
CREATE TRIGGER timeline_append_only BEFORE UPDATE OR DELETE ON timeline FOR EACH ROW EXECUTE FUNCTION refuse_timeline_change();
