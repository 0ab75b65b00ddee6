-- rotate_session: gives a session a new token, unless another request has just done so.
UPDATE sessions SET digest = $3, previous = $2, confirmed = false, rotated_at = $5, last_seen_at = greatest(last_seen_at, $5)
WHERE id = $1 AND rotated_at = $4
RETURNING true
