-- waiting_controls: lists what is asked of a drill and not yet taken.
SELECT id, action, inject, by, reason FROM drill_controls WHERE drill_id = $1 AND taken_at IS NULL ORDER BY id
