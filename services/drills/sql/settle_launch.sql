-- settle_launch: notes how the process of a drill that somebody started has ended.
UPDATE drill_launches SET settled_at = clock_timestamp(), outcome = $2 WHERE id = $1 AND settled_at IS NULL
