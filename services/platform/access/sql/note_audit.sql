-- note_audit: adds one act to the audit.
INSERT INTO audit (at, by, by_id, action, target, outcome, address, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
