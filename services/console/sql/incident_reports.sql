-- incident_reports: lists what was reported about an incident, decided or still waiting, in the order it came in.
-- What a feeder put on the broker itself was never a request, and is told by the message that was decided.
WITH reported AS (
    SELECT coalesce(i.event_id, r.event_id) AS event_id, coalesce(r.received_at, i.broker_at, i.decided_at) AS received_at,
        r.content_type, r.body, coalesce(i.input, o.value) AS message, i.outcome, i.reason, i.decided_at
    FROM (SELECT * FROM inbox WHERE incident_id = $1 AND status = ANY ($2::text[])) AS i
    FULL JOIN (SELECT * FROM reports WHERE incident_id = $1 AND status = ANY ($2::text[])) AS r USING (event_id)
    LEFT JOIN outbox AS o ON o.event_id = r.event_id
        AND o.type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
    WHERE coalesce(i.type, o.type) = 'muster.incident'
)
SELECT event_id, received_at, content_type, message, outcome, reason, decided_at,
    coalesce(octet_length(body), octet_length(message)) AS size, CASE WHEN event_id = $3::uuid THEN body END AS body
FROM reported
WHERE ($3 IS NULL OR event_id = $3) AND ($4::timestamptz IS NULL OR (received_at, event_id) > ($4, $5::uuid))
ORDER BY received_at, event_id LIMIT $6
