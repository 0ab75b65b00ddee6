-- Drills from the console: who asked for one, what evaluators judged, what was asked twice, and the real beside them.

ALTER TABLE drills ADD COLUMN real_incidents integer CHECK (real_incidents >= 0);
COMMENT ON COLUMN drills.real_incidents IS 'How many real incidents came in between STARTEX and ENDEX and were served first; null where nobody counted.';

CREATE TABLE drill_launches (
    id uuid PRIMARY KEY,
    status text NOT NULL CHECK (status = 'Exercise'),
    drill text NOT NULL,
    version integer NOT NULL,
    title jsonb NOT NULL,
    seed bigint NOT NULL,
    speed double precision NOT NULL,
    by text NOT NULL CHECK (by <> ''),
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    outcome text
);
COMMENT ON TABLE drill_launches IS 'Drills that somebody started from the console, under the id that the drill then has; outcome says how its process ended. Wall clock.';

CREATE TABLE drill_ratings (
    id uuid PRIMARY KEY,
    drill_id uuid NOT NULL REFERENCES drills,
    status text NOT NULL CHECK (status = 'Exercise'),
    objective text NOT NULL,
    rating text NOT NULL CHECK (rating IN ('P', 'S', 'M', 'U', 'not_observed')),
    notes text,
    by text NOT NULL CHECK (by <> ''),
    recorded_at timestamptz NOT NULL
);
COMMENT ON TABLE drill_ratings IS 'What an evaluator judged of an objective (HSEEP); the last one counts, and none is ever edited.';
CREATE INDEX drill_ratings_drill ON drill_ratings (drill_id);
CREATE TRIGGER drill_ratings_append_only BEFORE UPDATE OR DELETE ON drill_ratings FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TABLE drill_requests (
    caller uuid NOT NULL,
    key text NOT NULL,
    status text NOT NULL CHECK (status = 'Exercise'),
    digest text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    code integer,
    answer jsonb,
    PRIMARY KEY (caller, key)
);
COMMENT ON TABLE drill_requests IS 'Requests that carried an idempotency key, and what they were answered: the same key from the same person does nothing twice.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['drill_launches', 'drill_ratings', 'drill_requests'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY actual ON %I TO muster_actual USING (status = ''Actual'')', name);
        EXECUTE format('CREATE POLICY exercise ON %I TO muster_exercise USING (status IN (''Exercise'', ''Test''))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO muster_actual, muster_exercise', name);
    END LOOP;
    GRANT UPDATE, DELETE ON drill_requests TO muster_actual, muster_exercise;
    GRANT UPDATE ON drill_launches TO muster_actual, muster_exercise;
END
$$;
