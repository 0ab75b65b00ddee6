-- What was said is kept with what was decided about it, outbound calls go on record, and an exercise may learn that
-- real incidents came in meanwhile, and nothing else about them.

ALTER TABLE inbox ADD COLUMN input text;
COMMENT ON COLUMN inbox.input IS 'The message as it was decided, as JSON, so that an incident can be played again; the broker forgets it.';
CREATE INDEX inbox_arrivals ON inbox (decided_at) WHERE type = 'muster.incident' AND status = 'Actual';

CREATE TABLE outbound_calls (
    entry_id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    department text NOT NULL,
    target text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('sent', 'refused', 'failed')),
    reason text,
    settled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbound_calls IS 'What left Muster for the world outside, or was kept from leaving, by the timeline entry that asked for it.';
CREATE INDEX outbound_calls_incident ON outbound_calls (incident_id);
ALTER TABLE outbound_calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY actual ON outbound_calls TO muster_actual USING (status = 'Actual');
CREATE POLICY exercise ON outbound_calls TO muster_exercise USING (status IN ('Exercise', 'Test'));
GRANT SELECT, INSERT, UPDATE ON outbound_calls TO muster_actual, muster_exercise;

-- Runs as the tables' owner: the exercise role can't read real rows, and learns from this when they came and no more.
CREATE FUNCTION real_incidents(since timestamptz, until timestamptz) RETURNS TABLE (arrived_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT min(decided_at) FROM inbox AS i
    WHERE type = 'muster.incident' AND status = 'Actual' AND decided_at >= since AND decided_at <= until
      AND NOT EXISTS (SELECT FROM inbox AS earlier WHERE earlier.incident_id = i.incident_id AND earlier.decided_at < since)
    GROUP BY incident_id ORDER BY 1
$$;
COMMENT ON FUNCTION real_incidents IS 'When real incidents came in between two moments of the wall clock, one row for each; not which.';
REVOKE ALL ON FUNCTION real_incidents FROM PUBLIC;
GRANT EXECUTE ON FUNCTION real_incidents TO muster_actual, muster_exercise;
