-- drill_plans: reads the plans that a drill's incidents put into force, in the order they were matched.
SELECT plan, level, state FROM activations WHERE incident_id = ANY ($1::uuid[]) ORDER BY matched_at, id
