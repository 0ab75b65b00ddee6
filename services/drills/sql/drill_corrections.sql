-- drill_corrections: reads what was said afterwards about a drill's entries, in the order it was said.
SELECT * FROM corrections WHERE drill_id = $1 ORDER BY recorded_at, id
