-- settle_outbound: notes what came of a call to the outside; what was sent once stays sent.
INSERT INTO outbound_calls (entry_id, incident_id, status, department, target, outcome, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (entry_id) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason, settled_at = clock_timestamp()
WHERE outbound_calls.outcome <> 'sent'
