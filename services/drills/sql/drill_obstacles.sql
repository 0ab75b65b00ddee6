-- drill_obstacles: reads a drill's obstacles with the task they stand in the way of.
SELECT o.*, a.task, a.activation_id FROM obstacles AS o JOIN assignments AS a ON a.id = o.assignment_id AND a.incident_id = o.incident_id
WHERE o.incident_id = ANY ($1::uuid[]) ORDER BY o.reported_at, o.id
