-- ask_launch: puts on record who starts a drill, unless one runs (its process holds the lock) or is being started.
WITH free AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('muster.drill')) AS mine)
INSERT INTO drill_launches (id, status, drill, version, title, seed, speed, by)
SELECT $1, 'Exercise', $2, $3, $4::jsonb, $5, $6, $7 FROM free
WHERE free.mine AND NOT EXISTS (
    SELECT FROM drill_launches AS l
    WHERE l.settled_at IS NULL AND l.asked_at > clock_timestamp() - make_interval(secs => $8)
      AND NOT EXISTS (SELECT FROM drills AS d WHERE d.id = l.id)
)
RETURNING id
