-- running_pauses: reads when the clock of the drill under way stood still.
SELECT p.since, p.until FROM drill_pauses AS p JOIN drills AS d ON d.id = p.drill_id AND d.ended_at IS NULL ORDER BY p.since
