-- drill_activations: reads which wording of which plan answered a drill's incidents.
SELECT id, incident_id, plan, version, digest FROM activations WHERE incident_id = ANY ($1::uuid[]) ORDER BY matched_at, id
