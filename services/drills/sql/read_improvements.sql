-- read_improvements: reads improvement items, of one drill or of all, each with its whole history.
SELECT i.id, i.drill_id, d.drill, i.finding, i.title, h.id AS step, h.action, h.owner, h.due, h.by, h.reason, h.at
FROM improvements AS i
JOIN drills AS d ON d.id = i.drill_id
JOIN improvement_history AS h ON h.improvement_id = i.id
WHERE $1::uuid IS NULL OR i.drill_id = $1 ORDER BY i.added_at, i.id, h.at, h.id
