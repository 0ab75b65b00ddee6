-- touch_session: notes when a session was last used, and that its newest token has arrived.
UPDATE sessions SET last_seen_at = greatest(last_seen_at, $2), confirmed = confirmed OR $3 WHERE id = $1
