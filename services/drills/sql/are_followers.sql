-- are_followers: says whether a process is there that goes by the clock of the drill under way (it holds a shared lock).
SELECT EXISTS (
    SELECT FROM pg_locks AS l, hashtextextended('muster.drill.followers', 0) AS key
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint = key >> 32 & 4294967295 AND l.objid::bigint = key & 4294967295
)
