-- list_schedules: lists the schedules in force, the next first.
SELECT * FROM drill_schedules WHERE removed_at IS NULL ORDER BY next_at, name
