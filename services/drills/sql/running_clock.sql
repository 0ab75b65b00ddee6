-- running_clock: reads the clock of the drill whose controller is alive, until the last of its incidents is closed.
SELECT d.id, d.clock_start, d.speed FROM drills AS d, hashtextextended('muster.drill:' || d.id::text, 0) AS key
WHERE (d.ended_at IS NULL OR EXISTS (SELECT FROM incidents AS i WHERE i.id = ANY (d.incident_ids) AND i.phase <> 'closed'))
  AND EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint = key >> 32 & 4294967295 AND l.objid::bigint = key & 4294967295
  )
ORDER BY d.clock_start DESC LIMIT 1
