-- add_schedule: keeps a schedule; one of the same name that was removed is taken over, one in force stays.
INSERT INTO drill_schedules (name, status, drill, file, every_days, at, timezone, seed, next_at, created_by)
VALUES ($1, 'Exercise', $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO UPDATE SET drill = excluded.drill, file = excluded.file, every_days = excluded.every_days, at = excluded.at,
    timezone = excluded.timezone, seed = excluded.seed, next_at = excluded.next_at, created_by = excluded.created_by,
    created_at = clock_timestamp(), last_at = NULL, last_outcome = NULL, removed_at = NULL
WHERE drill_schedules.removed_at IS NOT NULL
RETURNING name
