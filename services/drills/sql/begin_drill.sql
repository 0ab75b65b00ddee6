-- begin_drill: puts a drill on record at its STARTEX.
INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, seats)
VALUES ($1, $2, $3, $4::jsonb, 'Exercise', $5, $6, $7, $8, $9::jsonb)
