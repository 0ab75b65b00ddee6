-- Drills on record, so that a report can be read back long after the drill.

CREATE TABLE drills (
    id uuid PRIMARY KEY,
    drill text NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    status text NOT NULL CHECK (status = 'Exercise'),
    seed bigint NOT NULL,
    speed double precision NOT NULL,
    clock_start timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    ending text CHECK (ending IN ('finished', 'time_over', 'stopped', 'failed')),
    incident_ids uuid[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE drills IS 'Every drill that was run, with the document it followed. Times are the scenario''s; clock_start and speed tell the wall''s.';
CREATE INDEX drills_started ON drills (started_at);

CREATE TABLE drill_injects (
    event_id uuid PRIMARY KEY,
    drill_id uuid NOT NULL REFERENCES drills,
    inject text NOT NULL,
    incident_id uuid NOT NULL,
    status text NOT NULL CHECK (status = 'Exercise'),
    played_at timestamptz NOT NULL,
    first_order_at timestamptz,
    UNIQUE (drill_id, inject)
);
COMMENT ON TABLE drill_injects IS 'Which event each inject became, and when; first_order_at is when the broker had the first order of the incident it opened.';
