-- A timeline's message is taken out of the outbox once the broker has it: the timeline itself keeps what it said, and
-- nobody asks the outbox for it again. An event's id is only asked for there of what waits for a decision.

CREATE TYPE new_entry AS (
    entry_id uuid, incident_id uuid, status text, entry text, activation_id uuid, assignment_id uuid, department text,
    attention boolean, by text, reason text, detail jsonb, occurred_at timestamptz, broker_at timestamptz,
    recorded_at timestamptz, number integer, salt bytea, hash bytea
);
DROP INDEX outbox_event;
CREATE INDEX outbox_event ON outbox (event_id) WHERE type IN ('muster.incident', 'muster.command', 'muster.acknowledgement');
