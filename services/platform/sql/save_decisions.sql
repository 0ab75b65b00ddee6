-- save_decisions: writes what was decided about a batch of events, state, record and messages together, in one statement.
WITH behind AS (
    SELECT DISTINCT incident_id FROM outbox
    WHERE published_at IS NULL AND type IN ('muster.assignment', 'muster.timeline')
      AND incident_id = ANY ($12::uuid[])
), told AS (
    -- The entries of the timeline are the messages that tell of them.
    SELECT at, value, entry.*
    FROM unnest($6::text[]) WITH ORDINALITY AS message (value, at), json_to_record(value::json) AS entry (
        entry_id uuid, incident_id uuid, status text, entry text, activation_id uuid, assignment_id uuid, department text,
        attention boolean, by text, reason text, detail jsonb, occurred_at timestamptz, broker_at timestamptz,
        recorded_at timestamptz, number integer, salt text, hash text
    )
), into_inbox AS (
    INSERT INTO inbox (
        event_id, incident_id, status, type, outcome, reason, topic, partition, position, broker_at, decided_at, input
    )
    SELECT * FROM unnest($1::new_input[])
), into_incidents AS (
    INSERT INTO incidents SELECT * FROM jsonb_populate_recordset(NULL::incidents, $2::jsonb)
    ON CONFLICT (id) DO UPDATE SET
        phase = excluded.phase, report = excluded.report, cancelled = excluded.cancelled,
        joined_to = excluded.joined_to, closed_at = excluded.closed_at, recorded_at = excluded.recorded_at
), into_activations AS (
    INSERT INTO activations SELECT * FROM jsonb_populate_recordset(NULL::activations, $3::jsonb)
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, level = excluded.level, overridden = excluded.overridden,
        activated_at = excluded.activated_at, level_changed_at = excluded.level_changed_at,
        stood_down_at = excluded.stood_down_at, next_due_at = excluded.next_due_at, unfilled = excluded.unfilled,
        added = excluded.added
), into_assignments AS (
    INSERT INTO assignments SELECT * FROM unnest($4::new_assignment[])
    ON CONFLICT (id, issued_at) DO UPDATE SET
        state = excluded.state, revision = excluded.revision, silent = excluded.silent,
        missed = excluded.missed, ladder = excluded.ladder, rung = excluded.rung, rung_at = excluded.rung_at,
        next_due_at = excluded.next_due_at, delivered_at = excluded.delivered_at,
        acknowledged_at = excluded.acknowledged_at, committed_at = excluded.committed_at,
        declined_at = excluded.declined_at, started_at = excluded.started_at, arrived_at = excluded.arrived_at,
        completed_at = excluded.completed_at, failed_at = excluded.failed_at, ended_at = excluded.ended_at,
        reason = excluded.reason, read_back = excluded.read_back, answered_by = excluded.answered_by
), into_obstacles AS (
    INSERT INTO obstacles SELECT * FROM jsonb_populate_recordset(NULL::obstacles, $5::jsonb)
    ON CONFLICT (id) DO UPDATE SET
        owner = excluded.owner, taken_at = excluded.taken_at, resolved_at = excluded.resolved_at
), into_timeline AS (
    INSERT INTO timeline (
        entry_id, incident_id, status, entry, activation_id, assignment_id, department, attention, by, reason, detail,
        occurred_at, broker_at, recorded_at, number, salt, hash
    )
    SELECT
        entry_id, incident_id, status, entry, activation_id, assignment_id, department, attention, by, reason, detail,
        occurred_at, broker_at, recorded_at, number, decode(salt, 'hex'), decode(hash, 'hex')
    FROM told
), into_chains AS (
    INSERT INTO chains (incident_id, status, number, hash)
    SELECT DISTINCT ON (incident_id) incident_id, status, number, decode(hash, 'hex') FROM told
    ORDER BY incident_id, number DESC
    ON CONFLICT (incident_id) DO UPDATE SET number = excluded.number, hash = excluded.hash, forgotten_at = NULL
), into_openings AS (
    INSERT INTO openings SELECT * FROM jsonb_populate_recordset(NULL::openings, $8::jsonb)
    ON CONFLICT (group_key) DO UPDATE SET
        activation_id = excluded.activation_id, incident_id = excluded.incident_id, until = excluded.until
), from_openings AS (
    DELETE FROM openings USING unnest($9::text[], $10::uuid[]) AS released (group_key, incident_id)
    WHERE openings.group_key = released.group_key AND openings.incident_id = released.incident_id
), into_outbox AS (
    INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, assignment_id, time, source, value, lease_until)
    SELECT m.event_id, m.incident_id, m.status, m.namespace, m.topic, m.type, m.assignment_id, m.time, m.source, m.value,
        -- What an earlier message of the same incident still waits before is published after it, by whoever holds that one.
        CASE WHEN m.incident_id IN (SELECT incident_id FROM behind)
            THEN clock_timestamp() ELSE clock_timestamp() + $11::interval END
    FROM (
        SELECT * FROM unnest($7::new_message[]) WITH ORDINALITY
        UNION ALL
        SELECT entry_id, incident_id, status, $13, $14, 'muster.timeline', NULL, recorded_at, $15, value, at FROM told
    ) AS m (event_id, incident_id, status, namespace, topic, type, assignment_id, time, source, value, at)
    ORDER BY m.type, m.at
    RETURNING seq, incident_id
)
SELECT seq, incident_id IN (SELECT incident_id FROM behind) AS behind FROM into_outbox ORDER BY seq
