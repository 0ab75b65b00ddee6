-- every_assignment_watched: an unanswered assignment falls due some time, or its whole ladder has been climbed.
SELECT count(*) AS looked_at, count(*) FILTER (WHERE next_due_at IS NULL AND rung = 0) AS broken,
    (array_agg(id::text) FILTER (WHERE next_due_at IS NULL AND rung = 0))[1:$1] AS examples
FROM assignments WHERE state IN ('issued', 'delivered', 'acknowledged')
