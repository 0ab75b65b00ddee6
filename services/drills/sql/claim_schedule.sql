-- claim_schedule: takes the schedule that is due longest; another process that takes one at this moment is passed over.
SELECT * FROM drill_schedules WHERE removed_at IS NULL AND next_at <= $1 ORDER BY next_at, name LIMIT 1 FOR UPDATE SKIP LOCKED
