-- note_inject: puts an inject on record before it is published, and the incident it opens with its drill.
WITH noted AS (
    INSERT INTO drill_injects (event_id, drill_id, inject, incident_id, status, played_at, awaits_decision, released_by)
    VALUES ($1, $2, $3, $4, 'Exercise', $5, $6, $7)
)
UPDATE drills SET incident_ids = incident_ids || $4::uuid WHERE id = $2 AND $4::uuid IS NOT NULL AND NOT $4 = ANY (incident_ids)
