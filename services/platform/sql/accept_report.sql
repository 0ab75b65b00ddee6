-- accept_report: keeps what came in and the message that announces it, together; a key that is known already writes nothing.
WITH behind AS (
    SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND incident_id = $2 AND type = $11) AS behind
), into_reports AS (
    INSERT INTO reports (event_id, incident_id, status, origin, idempotency_key, content_type, body, received_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (status, idempotency_key) DO NOTHING
    RETURNING event_id, incident_id, status, received_at
), into_outbox AS (
    INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, time, source, value, lease_until)
    SELECT event_id, incident_id, status, $9, $10, $11, received_at, $12, $13,
        -- What an earlier message of the same kind still waits before is published after it, by whoever holds that one.
        CASE WHEN behind THEN clock_timestamp() ELSE clock_timestamp() + $14::interval END
    FROM into_reports CROSS JOIN behind
    RETURNING seq
)
SELECT seq, behind FROM into_outbox CROSS JOIN behind
