-- running_pauses: reads when the clock of this drill, or of the one under way, stood still.
SELECT p.since, p.until FROM drill_pauses AS p JOIN drills AS d ON d.id = p.drill_id
WHERE CASE WHEN $1::uuid IS NULL THEN d.ended_at IS NULL ELSE d.id = $1 END ORDER BY p.since
