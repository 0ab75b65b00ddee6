-- lock_chains: gives the heads of these incidents' chains and keeps every other worker from adding to them until the
-- transaction ends. A chain that is not begun has no row: nobody but its own incident's worker knows of it yet.
SELECT incident_id, number, hash FROM chains WHERE incident_id = ANY ($1::uuid[]) AND forgotten_at IS NULL
ORDER BY incident_id FOR NO KEY UPDATE
