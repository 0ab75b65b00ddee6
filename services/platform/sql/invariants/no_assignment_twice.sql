-- no_assignment_twice: a department holds a task of an activation at most once at a time, and each was issued once.
SELECT (SELECT count(*) FROM assignments) AS looked_at, count(*) AS broken, (array_agg(found.id))[1:$1] AS examples
FROM (
    SELECT min(id::text) AS id FROM assignments
    WHERE state IN ('issued', 'delivered', 'acknowledged', 'committed', 'started', 'completed')
    GROUP BY activation_id, task, department HAVING count(*) > 1
    UNION ALL
    SELECT assignment_id::text FROM timeline WHERE entry = 'assignment_issued' GROUP BY assignment_id HAVING count(*) > 1
) AS found
