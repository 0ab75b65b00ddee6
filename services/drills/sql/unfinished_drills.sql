-- unfinished_drills: finds drills that no controller ended, as after its sudden death, with their incidents.
SELECT id, incident_ids FROM drills WHERE ended_at IS NULL ORDER BY started_at
