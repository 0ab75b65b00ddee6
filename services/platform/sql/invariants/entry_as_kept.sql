-- entry_as_kept: what others kept of entries (incident, number, hash) and the record hasn't, or has otherwise.
SELECT k.incident_id, k.number, CASE WHEN t.hash IS NULL THEN 'is missing' ELSE 'is not what was kept of it' END AS wrong
FROM unnest($1::uuid[], $2::integer[], $3::bytea[]) AS k (incident_id, number, hash)
LEFT JOIN timeline AS t ON t.incident_id = k.incident_id AND t.number = k.number
WHERE t.hash IS DISTINCT FROM k.hash
AND NOT EXISTS (
    SELECT FROM chains AS c WHERE c.incident_id = k.incident_id AND c.forgotten_at IS NOT NULL
    AND (k.number < c.number OR (k.number, k.hash) = (c.number, c.hash))
)
ORDER BY k.incident_id, k.number
