-- partitions: lists the partitions of the timeline and the assignments, with their bounds as they are written.
SELECT p.relname AS parent, c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_inherits AS h JOIN pg_class AS p ON p.oid = h.inhparent JOIN pg_class AS c ON c.oid = h.inhrelid
WHERE p.relname IN ('timeline', 'assignments') AND p.relkind = 'p' AND p.relnamespace = current_schema()::regnamespace
ORDER BY 1, 2
