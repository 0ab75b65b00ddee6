-- be_follower: tells, for as long as this connection lasts, that its process goes by the clock of the drill under way.
SELECT pg_advisory_lock_shared(hashtextextended('muster.drill.followers', 0))
