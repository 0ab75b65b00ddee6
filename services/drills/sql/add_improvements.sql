-- add_improvements: puts items on record with their first step; a finding that is on record stays as it is.
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
        AS row (id uuid, step uuid, drill_id uuid, finding text, title jsonb, action text, owner text, due date, by text, reason text, at timestamptz)
), added AS (
    INSERT INTO improvements (id, drill_id, status, finding, title, added_at)
    SELECT id, drill_id, 'Exercise', finding, title, at FROM given
    ON CONFLICT (drill_id, finding) DO NOTHING RETURNING id
), noted AS (
    INSERT INTO improvement_history (id, improvement_id, status, action, owner, due, by, reason, at)
    SELECT step, id, 'Exercise', action, owner, due, by, reason, at FROM given JOIN added USING (id)
)
SELECT id FROM added ORDER BY id
