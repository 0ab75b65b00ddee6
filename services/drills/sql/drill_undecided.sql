-- drill_undecided: lists injects of a drill that nobody has decided yet; what befalls a department or a service isn't decided.
SELECT inject FROM drill_injects AS i
WHERE drill_id = $1 AND awaits_decision AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = i.event_id) ORDER BY played_at
