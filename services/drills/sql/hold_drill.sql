-- hold_drill: tells, for as long as this connection lasts, that a drill's controller is alive.
SELECT pg_advisory_lock(hashtextextended('muster.drill:' || $1::uuid::text, 0))
