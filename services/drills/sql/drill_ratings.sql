-- drill_ratings: reads what evaluators judged of a drill's objectives, in the order it was said.
SELECT objective, rating, notes, by, recorded_at FROM drill_ratings WHERE drill_id = $1 ORDER BY recorded_at, id
