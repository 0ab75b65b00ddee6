-- note_improvement: adds a step to an item's history.
INSERT INTO improvement_history (id, improvement_id, status, action, owner, due, by, reason, at)
VALUES ($1, $2, 'Exercise', $3, $4, $5, $6, $7, $8)
