-- no_answer_twice: receipts, commitments, starts and ends are told once for each assignment.
SELECT (SELECT count(*) FROM inbox WHERE type = 'muster.acknowledgement') AS looked_at, count(*) AS broken,
    (array_agg(found.assignment_id::text))[1:$1] AS examples
FROM (
    SELECT assignment_id FROM timeline
    WHERE entry IN ('assignment_delivered', 'assignment_acknowledged', 'assignment_committed', 'assignment_declined',
        'assignment_started', 'assignment_completed', 'assignment_failed')
    GROUP BY assignment_id, entry HAVING count(*) > 1
) AS found
