-- drill_assignments: reads a drill's assignments with their plan's wording; stand-down tasks come after ENDEX and are not asked for.
SELECT a.*, v.plan, v.digest FROM assignments AS a JOIN activations AS v ON v.id = a.activation_id
WHERE a.incident_id = ANY ($1::uuid[]) AND a.issued_at < $2 ORDER BY a.issued_at, a.id
