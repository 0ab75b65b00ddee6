-- The system of record. Column names are the engine's own; status stands on every row.

CREATE TABLE plans (
    digest text PRIMARY KEY,
    plan text NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (plan, version)
);
COMMENT ON TABLE plans IS 'Every wording of every plan that was ever published; never changed, so that an activation can obey the one it began with.';

CREATE TABLE directories (
    digest text PRIMARY KEY,
    document jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE publication (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plans text[] NOT NULL,
    directory text NOT NULL REFERENCES directories,
    published_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE publication IS 'Which wordings were in force from when on; the last row is what new incidents are matched against.';

CREATE TABLE reports (
    event_id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    origin text NOT NULL,
    idempotency_key text NOT NULL,
    content_type text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    UNIQUE (status, idempotency_key)
);
CREATE INDEX reports_incident ON reports (incident_id);
COMMENT ON TABLE reports IS 'What came in over HTTP, byte for byte, and which incident it belongs to.';

CREATE TABLE alerts (
    status text NOT NULL,
    sender text NOT NULL,
    identifier text NOT NULL,
    sent timestamptz NOT NULL,
    incident_id uuid NOT NULL,
    PRIMARY KEY (status, sender, identifier, sent)
);
COMMENT ON TABLE alerts IS 'Which incident an alert belongs to (CAP 1.2, 3.2.1: sender, identifier and sent identify it).';

CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    status text NOT NULL,
    phase text NOT NULL,
    report jsonb NOT NULL,
    reported_at timestamptz NOT NULL,
    cancelled boolean NOT NULL,
    joined_to uuid,
    closed_at timestamptz,
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX incidents_open ON incidents (status, reported_at) WHERE phase <> 'closed';

CREATE TABLE activations (
    id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    plan text NOT NULL,
    version integer NOT NULL,
    digest text NOT NULL REFERENCES plans,
    state text NOT NULL,
    matched_at timestamptz NOT NULL,
    level text,
    overridden boolean NOT NULL,
    parent_id uuid,
    group_key text,
    activated_at timestamptz,
    level_changed_at timestamptz,
    stood_down_at timestamptz,
    next_due_at timestamptz,
    unfilled text[] NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX activations_incident ON activations (incident_id);
CREATE INDEX activations_due ON activations (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE assignments (
    id uuid NOT NULL,
    activation_id uuid NOT NULL,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    task text NOT NULL,
    role text NOT NULL,
    department text NOT NULL,
    issued_at timestamptz NOT NULL,
    state text NOT NULL,
    revision integer NOT NULL,
    parent_id uuid,
    silent boolean NOT NULL,
    acknowledge_by timestamptz,
    start_by timestamptz,
    complete_by timestamptz,
    missed text[] NOT NULL,
    ladder text,
    rung integer NOT NULL,
    rung_at timestamptz,
    next_due_at timestamptz,
    delivered_at timestamptz,
    acknowledged_at timestamptz,
    committed_at timestamptz,
    declined_at timestamptz,
    started_at timestamptz,
    arrived_at timestamptz,
    completed_at timestamptz,
    failed_at timestamptz,
    ended_at timestamptz,
    reason text,
    read_back text,
    answered_by text,
    PRIMARY KEY (id, issued_at)
) PARTITION BY RANGE (issued_at);
CREATE INDEX assignments_incident ON assignments (incident_id);
CREATE INDEX assignments_due ON assignments (next_due_at) WHERE next_due_at IS NOT NULL;
CREATE INDEX assignments_department ON assignments (department, issued_at);
CREATE TABLE assignments_default PARTITION OF assignments DEFAULT WITH (fillfactor = 80);

CREATE TABLE obstacles (
    id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    assignment_id uuid NOT NULL,
    department text NOT NULL,
    description text NOT NULL,
    owner text NOT NULL,
    reported_at timestamptz NOT NULL,
    taken_at timestamptz,
    resolved_at timestamptz
);
CREATE INDEX obstacles_incident ON obstacles (incident_id);

CREATE TABLE openings (
    group_key text PRIMARY KEY,
    status text NOT NULL,
    activation_id uuid NOT NULL,
    incident_id uuid NOT NULL,
    until timestamptz NOT NULL
);
COMMENT ON TABLE openings IS 'The activation that further reports of one group join, until it ends.';

CREATE TABLE timeline (
    entry_id uuid NOT NULL,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    entry text NOT NULL,
    activation_id uuid,
    assignment_id uuid,
    department text,
    attention boolean NOT NULL,
    by text,
    reason text,
    detail jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    broker_at timestamptz,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (entry_id, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX timeline_incident ON timeline (incident_id, recorded_at);
CREATE TABLE timeline_default PARTITION OF timeline DEFAULT;

CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    type text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    broker_at timestamptz,
    decided_at timestamptz NOT NULL
);
COMMENT ON TABLE inbox IS 'One row for each accepted event, written in the same statement as its effect: the decision on record, and what makes a repeat do nothing.';
CREATE INDEX inbox_incident ON inbox (incident_id);

CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    incident_id uuid NOT NULL,
    status text NOT NULL,
    namespace text NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    assignment_id uuid,
    time timestamptz NOT NULL,
    source text NOT NULL,
    value text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    published_at timestamptz
) WITH (fillfactor = 80);
COMMENT ON TABLE outbox IS 'Messages, written in the same statement as the state they announce; published right after the commit, or swept later.';
CREATE INDEX outbox_waiting ON outbox (incident_id, seq) WHERE published_at IS NULL;
CREATE INDEX outbox_assignment ON outbox (assignment_id, seq) WHERE assignment_id IS NOT NULL;
CREATE INDEX outbox_event ON outbox (event_id);
CREATE INDEX outbox_to_be_decided ON outbox (published_at) WHERE type IN ('muster.incident', 'muster.command');

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    namespace text NOT NULL,
    origin text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    key bytea,
    headers jsonb NOT NULL,
    value bytea,
    reason text NOT NULL,
    broker_at timestamptz,
    received_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
    resolved_at timestamptz,
    resolved_reason text,
    UNIQUE NULLS NOT DISTINCT (namespace, origin, partition, position, broker_at)
);
COMMENT ON TABLE dead_letters IS 'Messages that could not be read or are invalid, byte for byte, until an operator replays or discards them.';

CREATE TABLE epochs (
    namespace text PRIMARY KEY,
    epoch uuid NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE epochs IS 'The broker''s life that is known here; another one on the broker tells that it has lost its data.';

CREATE FUNCTION make_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    made integer := 0;
    month date;
    parent text;
    child text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['assignments', 'timeline'] LOOP
        FOR month IN
            SELECT generate_series(date_trunc('month', now()), date_trunc('month', now()) + make_interval(months => ahead), '1 month')::date
        LOOP
            child := parent || to_char(month, '_YYYY_MM');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    child, parent, month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION make_partitions IS 'Makes the monthly partitions from this month on, so many months ahead; what falls outside them is kept in the default one.';
SELECT make_partitions(3);
