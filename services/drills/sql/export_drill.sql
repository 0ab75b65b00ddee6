-- export_drill: gives everything on record about a drill as JSON rows, table by table, in an order that is always the same.
-- What belongs to this Muster only is left out: when wordings were published here, and where an imported drill came from.
WITH drill AS (SELECT * FROM drills WHERE id = $1), told AS (
    SELECT 1 AS place, 'directories' AS name, to_jsonb(t) - 'published_at' AS row, t.digest AS key FROM directories AS t WHERE t.digest = $2
    UNION ALL
    SELECT 2, 'plans', to_jsonb(t) - 'published_at', t.digest FROM plans AS t
    WHERE t.digest IN (SELECT a.digest FROM activations AS a, drill AS d WHERE a.incident_id = ANY (d.incident_ids))
    UNION ALL
    SELECT 3, 'drills', to_jsonb(t) - 'imported_at' - 'imported_digest' - CASE WHEN t.real_incidents IS NULL THEN 'real_incidents' ELSE '' END
        || jsonb_build_object('directory', $2::text), '' FROM drill AS t
    UNION ALL
    SELECT 4, 'drill_pauses', to_jsonb(t), t.since::text FROM drill_pauses AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 5, 'drill_controls', to_jsonb(t), t.id::text FROM drill_controls AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 6, 'drill_injects', to_jsonb(t), t.inject FROM drill_injects AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 7, 'incidents', to_jsonb(t), t.id::text FROM incidents AS t, drill AS d WHERE t.id = ANY (d.incident_ids)
    UNION ALL
    SELECT 8, 'activations', to_jsonb(t), t.id::text FROM activations AS t, drill AS d WHERE t.incident_id = ANY (d.incident_ids)
    UNION ALL
    SELECT 9, 'assignments', to_jsonb(t), t.id::text FROM assignments AS t, drill AS d WHERE t.incident_id = ANY (d.incident_ids)
    UNION ALL
    SELECT 10, 'obstacles', to_jsonb(t), t.id::text FROM obstacles AS t, drill AS d WHERE t.incident_id = ANY (d.incident_ids)
    UNION ALL
    SELECT 11, 'timeline', to_jsonb(t) - '{xid,seq,number,salt,hash,withheld}'::text[], t.entry_id::text FROM timeline AS t, drill AS d WHERE t.incident_id = ANY (d.incident_ids)
    UNION ALL
    SELECT 12, 'inbox', to_jsonb(t), t.event_id::text FROM inbox AS t
    WHERE t.event_id IN (SELECT i.event_id FROM drill_injects AS i WHERE i.drill_id = $1)
    UNION ALL
    SELECT 13, 'corrections', to_jsonb(t), t.id::text FROM corrections AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 16, 'drill_ratings', to_jsonb(t), t.id::text FROM drill_ratings AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 14, 'improvements', to_jsonb(t), t.id::text FROM improvements AS t WHERE t.drill_id = $1
    UNION ALL
    SELECT 15, 'improvement_history', to_jsonb(t), t.id::text FROM improvement_history AS t
    WHERE t.improvement_id IN (SELECT i.id FROM improvements AS i WHERE i.drill_id = $1)
)
SELECT name, row::text AS row FROM told ORDER BY place, key COLLATE "C"
