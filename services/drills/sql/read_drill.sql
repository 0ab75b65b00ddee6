-- read_drill: reads one drill with its pauses.
SELECT d.*, ARRAY(SELECT ROW(p.since, p.until) FROM drill_pauses AS p WHERE p.drill_id = d.id ORDER BY p.since) AS pauses
FROM drills AS d WHERE d.id = $1
