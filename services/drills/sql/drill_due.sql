-- drill_due: says when each plan was last exercised to the end; a drill that was stopped or broke off doesn't count.
SELECT plan, max(d.started_at) AS last_at FROM drills AS d, jsonb_array_elements_text(d.document -> 'plans') AS plan
WHERE d.ending IN ('finished', 'time_over') GROUP BY plan
