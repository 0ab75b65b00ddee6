-- drill_controls: lists what people asked of a drill and what came of it, the latest first.
SELECT action, inject, by, reason, asked_at, taken_at, refused FROM drill_controls WHERE drill_id = $1 ORDER BY asked_at DESC, id DESC LIMIT 50
