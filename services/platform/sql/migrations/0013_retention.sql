-- How long the record is kept, what is held beyond that, and months of partitions that make themselves in time.

CREATE TABLE retention (
    status text PRIMARY KEY,
    days integer NOT NULL CHECK (days >= 30),
    by text NOT NULL CHECK (by <> ''),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE retention ENABLE ROW LEVEL SECURITY;
CREATE POLICY actual ON retention TO muster_actual USING (status = 'Actual');
CREATE POLICY exercise ON retention TO muster_exercise USING (status IN ('Exercise', 'Test'));
COMMENT ON TABLE retention IS 'For how many days after its last entry the record of an incident is kept; a status without a row is kept for ever.';

CREATE TABLE holds (
    incident_id uuid NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    by text NOT NULL CHECK (by <> ''),
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text,
    released_reason text,
    released_at timestamptz,
    PRIMARY KEY (incident_id, held_at)
);
CREATE UNIQUE INDEX holds_in_force ON holds (incident_id) WHERE released_at IS NULL;
COMMENT ON TABLE holds IS 'Incidents that must be kept beyond their term (legal hold), until somebody releases them; never deleted.';

ALTER TABLE chains ADD COLUMN forgotten_at timestamptz;
COMMENT ON COLUMN chains.forgotten_at IS 'When the record behind it was given up because its term was over; what is left tells that there was one.';

CREATE OR REPLACE FUNCTION make_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    made integer := 0;
    month date;
    parent text;
    child text;
    since timestamptz;
    until timestamptz;
    astray boolean;
BEGIN
    FOREACH parent IN ARRAY ARRAY['assignments', 'timeline'] LOOP
        FOR month IN
            SELECT generate_series(date_trunc('month', now()), date_trunc('month', now()) + make_interval(months => ahead), '1 month')::date
        LOOP
            child := parent || to_char(month, '_YYYY_MM');
            since := month::timestamp AT TIME ZONE 'UTC';
            until := (month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
            CONTINUE WHEN to_regclass(child) IS NOT NULL;
            -- What came before its month had a partition is in the default one, and stays there with all of that month.
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= %L AND %I < %L)', parent || '_default',
                CASE parent WHEN 'timeline' THEN 'recorded_at' ELSE 'issued_at' END, since,
                CASE parent WHEN 'timeline' THEN 'recorded_at' ELSE 'issued_at' END, until) INTO astray;
            CONTINUE WHEN astray;
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent, since, until);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION make_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions TO muster_actual, muster_exercise;
