-- no_mixed_status: everything about an incident carries the incident's own status.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE found.status <> i.status) AS broken,
    (array_agg(i.id::text) FILTER (WHERE found.status <> i.status))[1:$1] AS examples
FROM incidents AS i JOIN (
    SELECT incident_id, status FROM activations UNION ALL SELECT incident_id, status FROM assignments
    UNION ALL SELECT incident_id, status FROM timeline UNION ALL SELECT incident_id, status FROM obstacles
    UNION ALL SELECT incident_id, status FROM outbox
) AS found ON found.incident_id = i.id
