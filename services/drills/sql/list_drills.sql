-- list_drills: lists the drills on record, the latest first, and whether they stand still.
SELECT id, drill, version, document -> 'title' AS title, seed, speed, started_at, ended_at, ending, cardinality(incident_ids) AS incidents, imported_at,
    ended_at IS NULL AND EXISTS (SELECT FROM drill_pauses AS p WHERE p.drill_id = d.id AND p.until IS NULL) AS paused
FROM drills AS d ORDER BY started_at DESC
