-- begin_pause: notes that a drill's clock stands still from an instant of the wall's on.
INSERT INTO drill_pauses (drill_id, status, since, by, reason) VALUES ($1, 'Exercise', $2, $3, $4)
