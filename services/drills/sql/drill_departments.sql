-- drill_departments: counts how each department of a drill stands: its orders by state, those late, and what is in its way.
SELECT a.department, count(*) AS orders,
    count(*) FILTER (WHERE a.state = 'issued') AS issued,
    count(*) FILTER (WHERE a.state IN ('delivered', 'acknowledged')) AS received,
    count(*) FILTER (WHERE a.state = 'committed') AS committed,
    count(*) FILTER (WHERE a.state = 'started') AS started,
    count(*) FILTER (WHERE a.state = 'completed') AS completed,
    count(*) FILTER (WHERE a.state IN ('declined', 'failed')) AS declined,
    count(*) FILTER (WHERE a.state IN ('cancelled', 'superseded', 'expired')) AS called_off,
    count(*) FILTER (WHERE cardinality(a.missed) > 0) AS late,
    count(o.assignment_id) AS blocked
FROM assignments AS a LEFT JOIN (
    SELECT DISTINCT assignment_id FROM obstacles WHERE incident_id = ANY ($1::uuid[]) AND resolved_at IS NULL
) AS o ON o.assignment_id = a.id
WHERE a.incident_id = ANY ($1::uuid[]) AND a.issued_at < $2 GROUP BY a.department ORDER BY a.department
