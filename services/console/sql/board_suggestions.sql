-- board_suggestions: finds, for these incidents' plans, the levels that reports asked for after the last choice of a level.
SELECT * FROM (
    SELECT DISTINCT ON (activation_id) activation_id, entry, detail, reason, occurred_at FROM timeline
    WHERE incident_id = ANY ($1::uuid[]) AND entry IN ('level_suggested', 'level_changed', 'plan_activated')
    ORDER BY activation_id, recorded_at DESC, seq DESC
) AS last WHERE entry = 'level_suggested'
