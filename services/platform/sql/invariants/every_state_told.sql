-- every_state_told: the timeline tells of each time that an assignment's row holds.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE NOT told.told) AS broken,
    (array_agg(t.id::text) FILTER (WHERE NOT told.told))[1:$1] AS examples
FROM (
    SELECT id, incident_id, entry FROM assignments CROSS JOIN LATERAL (VALUES
        ('assignment_issued', issued_at), ('assignment_delivered', delivered_at),
        ('assignment_acknowledged', acknowledged_at), ('assignment_committed', committed_at),
        ('assignment_declined', declined_at), ('assignment_started', started_at),
        ('department_on_scene', arrived_at), ('assignment_completed', completed_at),
        ('assignment_failed', failed_at)) AS fact (entry, at)
    WHERE at IS NOT NULL
) AS t CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM timeline AS l WHERE l.incident_id = t.incident_id AND l.assignment_id = t.id AND l.entry = t.entry) AS told
) AS told
