-- unfinished_drills: finds drills that no controller ended or cleared up after, as after its sudden death, with their incidents.
SELECT id, incident_ids FROM drills AS d
WHERE ended_at IS NULL OR EXISTS (SELECT FROM incidents AS i WHERE i.id = ANY (d.incident_ids) AND i.phase <> 'closed')
ORDER BY started_at
