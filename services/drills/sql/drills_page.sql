-- drills_page: lists drills on record and those that were asked for and have not begun, the latest first, from a place on.
SELECT * FROM (
    SELECT d.id, d.drill, d.version, d.document -> 'title' AS title, d.seed, d.speed, d.started_at, d.ended_at, d.ending,
        cardinality(d.incident_ids) AS incidents, d.imported_at IS NOT NULL AS imported, l.by, l.outcome, true AS begun, l.settled_at,
        EXISTS (SELECT FROM drill_pauses AS p WHERE p.drill_id = d.id AND p.until IS NULL) AS still,
        EXISTS (SELECT FROM drill_controls AS c WHERE c.drill_id = d.id AND c.action = 'start' AND c.refused IS NULL AND c.taken_at IS NOT NULL)
            OR NOT EXISTS (SELECT FROM drill_pauses AS p WHERE p.drill_id = d.id AND p.since = d.clock_start) AS let_go,
        d.ended_at IS NULL AND EXISTS (
            SELECT FROM pg_locks AS k, hashtextextended('muster.drill:' || d.id::text, 0) AS key
            WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
              AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND k.classid::bigint = key >> 32 & 4294967295 AND k.objid::bigint = key & 4294967295
        ) AS alive
    FROM drills AS d LEFT JOIN drill_launches AS l ON l.id = d.id
    UNION ALL
    SELECT l.id, l.drill, l.version, l.title, l.seed, l.speed, l.asked_at, NULL, NULL, 0, false, l.by, l.outcome, false, l.settled_at,
        false, false, l.settled_at IS NULL AND l.asked_at > clock_timestamp() - make_interval(secs => $5)
    FROM drill_launches AS l WHERE NOT EXISTS (SELECT FROM drills AS d WHERE d.id = l.id)
) AS found
WHERE ($1::timestamptz IS NULL OR (started_at, id) < ($1, $2)) AND ($3::uuid IS NULL OR id = $3)
ORDER BY started_at DESC, id DESC LIMIT $4
