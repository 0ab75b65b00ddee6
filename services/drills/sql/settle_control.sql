-- settle_control: notes that a request was taken, or why it was refused.
UPDATE drill_controls SET taken_at = clock_timestamp(), refused = $2 WHERE id = $1 AND taken_at IS NULL
