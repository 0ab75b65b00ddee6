-- Drills under control: pauses, what controllers ask for, how expectations were judged, and schedules.

ALTER TABLE drills ADD COLUMN seats jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN drills.seats IS 'Who answered for each department: simulated, real, mixed, or stand-in where nobody listened.';

ALTER TABLE drill_injects
    ALTER COLUMN incident_id DROP NOT NULL,
    ADD COLUMN awaits_decision boolean NOT NULL DEFAULT true,
    ADD COLUMN released_by text,
    ADD COLUMN detail jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN rating text CHECK (rating IN ('met', 'not_met', 'not_observed')),
    ADD COLUMN judged_at timestamptz,
    ADD COLUMN rated_because text;
COMMENT ON COLUMN drill_injects.incident_id IS 'The incident it is about; absent for what befalls a department or a service.';
COMMENT ON COLUMN drill_injects.awaits_decision IS 'Whether it is a report or a command that a service must decide.';
COMMENT ON COLUMN drill_injects.rating IS 'Whether what was expected was seen in time; null where only an evaluator can tell.';

CREATE TABLE drill_pauses (
    drill_id uuid NOT NULL REFERENCES drills,
    status text NOT NULL CHECK (status = 'Exercise'),
    since timestamptz NOT NULL,
    until timestamptz,
    by text NOT NULL,
    reason text,
    PRIMARY KEY (drill_id, since)
);
COMMENT ON TABLE drill_pauses IS 'When a drill''s clock stood still, by the wall''s clock; no deadline falls due meanwhile.';

CREATE TABLE drill_controls (
    id uuid PRIMARY KEY,
    drill_id uuid NOT NULL REFERENCES drills,
    status text NOT NULL CHECK (status = 'Exercise'),
    action text NOT NULL CHECK (action IN ('start', 'pause', 'resume', 'stop', 'inject')),
    inject text,
    by text NOT NULL,
    reason text,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at timestamptz,
    refused text,
    CHECK ((action = 'inject') = (inject IS NOT NULL))
);
COMMENT ON TABLE drill_controls IS 'What people asked of a running drill; its controller takes each, or says why not. Wall clock.';
CREATE INDEX drill_controls_waiting ON drill_controls (drill_id, id) WHERE taken_at IS NULL;

CREATE TABLE drill_schedules (
    name text PRIMARY KEY,
    status text NOT NULL CHECK (status = 'Exercise'),
    drill text NOT NULL,
    file text NOT NULL,
    every_days integer NOT NULL CHECK (every_days BETWEEN 1 AND 3660),
    at time NOT NULL,
    timezone text NOT NULL,
    seed bigint,
    next_at timestamptz NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at timestamptz,
    last_outcome text,
    removed_at timestamptz
);
COMMENT ON TABLE drill_schedules IS 'Drills that start by themselves: every so many days at a local time.';
