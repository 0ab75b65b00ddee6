-- ask_control: asks something of a drill under way.
INSERT INTO drill_controls (id, drill_id, status, action, inject, by, reason) VALUES ($1, $2, 'Exercise', $3, $4, $5, $6)
