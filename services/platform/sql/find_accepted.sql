-- find_accepted: finds what was accepted under an idempotency key before, the first of it.
SELECT event_id, incident_id, origin, body FROM reports
WHERE idempotency_key = $1 AND status = ANY ($2) ORDER BY received_at LIMIT 1
