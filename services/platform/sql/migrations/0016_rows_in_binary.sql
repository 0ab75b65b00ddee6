-- What is decided reaches Postgres as rows in binary form rather than as JSON. These types are the rows as one version of
-- the services writes them: a later one that writes more brings types of its own, and both can work side by side.

CREATE TYPE new_input AS (
    event_id uuid, incident_id uuid, status text, type text, outcome text, reason text, topic text, partition integer,
    position bigint, broker_at timestamptz, decided_at timestamptz, input text
);
CREATE TYPE new_assignment AS (
    id uuid, activation_id uuid, incident_id uuid, status text, task text, role text, department text,
    issued_at timestamptz, state text, revision integer, parent_id uuid, silent boolean, acknowledge_by timestamptz,
    start_by timestamptz, complete_by timestamptz, missed text[], ladder text, rung integer, rung_at timestamptz,
    next_due_at timestamptz, delivered_at timestamptz, acknowledged_at timestamptz, committed_at timestamptz,
    declined_at timestamptz, started_at timestamptz, arrived_at timestamptz, completed_at timestamptz,
    failed_at timestamptz, ended_at timestamptz, reason text, read_back text, answered_by text
);
CREATE TYPE new_message AS (
    event_id uuid, incident_id uuid, status text, namespace text, topic text, type text, assignment_id uuid,
    time timestamptz, source text, value text
);
