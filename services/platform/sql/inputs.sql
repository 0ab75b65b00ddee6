-- inputs: lists what came in about an incident up to a moment, in the order it was decided, with what was said.
SELECT i.event_id, i.type, i.status, i.outcome, i.reason, i.decided_at, i.broker_at, coalesce(i.input, o.value) AS input
FROM inbox AS i LEFT JOIN outbox AS o ON i.input IS NULL AND o.event_id = i.event_id AND o.type = i.type
    AND o.type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
WHERE i.incident_id = $1 AND ($2::timestamptz IS NULL OR i.decided_at <= $2) ORDER BY i.decided_at, i.topic, i.partition, i.position
