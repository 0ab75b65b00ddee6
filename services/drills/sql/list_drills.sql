-- list_drills: lists the drills on record, the latest first.
SELECT id, drill, version, document -> 'title' AS title, seed, speed, started_at, ended_at, ending, cardinality(incident_ids) AS incidents
FROM drills ORDER BY started_at DESC
