-- add_rating: puts an evaluator's judgement of an objective on record.
INSERT INTO drill_ratings (id, drill_id, status, objective, rating, notes, by, recorded_at)
VALUES ($1, $2, 'Exercise', $3, $4, $5, $6, $7)
