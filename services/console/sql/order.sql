-- order: reads one assignment as it stands, with when it next falls due and the level its plan is at now.
SELECT a.*, act.level AS level_now,
    CASE WHEN a.state IN ('issued', 'delivered', 'acknowledged', 'committed', 'started') THEN least(
        CASE WHEN a.state IN ('issued', 'delivered', 'acknowledged') THEN a.acknowledge_by END,
        CASE WHEN a.state <> 'started' THEN a.start_by END,
        a.complete_by) END AS due_at
FROM assignments AS a JOIN activations AS act ON act.id = a.activation_id
WHERE a.id = $1 AND a.status = ANY ($2::text[])
