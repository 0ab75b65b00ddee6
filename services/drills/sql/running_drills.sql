-- running_drills: finds the drills under way.
SELECT id, drill FROM drills WHERE ended_at IS NULL ORDER BY started_at DESC
