-- inbox: lists one page of what a department was told, most urgent first: open orders by the next deadline they have
-- to meet, then the ended ones, newest end first. Other departments' open orders of which it was sent a copy are
-- among them. $1 is the department, $2 those whose superior it is, $3 its topic; $6 to $8 are where the last page ended.
SELECT a.*, found.ended, found.rank, due.at AS due_at, told.value AS told, act.level AS level_now,
    EXISTS (SELECT FROM obstacles AS o
        WHERE o.incident_id = a.incident_id AND o.assignment_id = a.id AND o.resolved_at IS NULL) AS blocked
FROM assignments AS a
JOIN activations AS act ON act.id = a.activation_id
CROSS JOIN LATERAL (
    SELECT a.state IN ('issued', 'delivered', 'acknowledged') AS unanswered,
        a.state NOT IN ('issued', 'delivered', 'acknowledged', 'committed', 'started') AS ended
) AS st
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT st.ended THEN least(
        CASE WHEN st.unanswered THEN a.acknowledge_by END,
        CASE WHEN a.state <> 'started' THEN a.start_by END,
        a.complete_by) END AS at
) AS due
CROSS JOIN LATERAL (
    SELECT st.ended, CASE
        WHEN st.ended THEN -extract(epoch FROM coalesce(a.ended_at, a.issued_at))
        ELSE extract(epoch FROM coalesce(due.at, 'infinity')) END::float8 AS rank
) AS found
-- An imported drill's orders were told by another Muster and have no message here.
JOIN LATERAL (
    SELECT value FROM outbox WHERE assignment_id = a.id AND topic = $3 ORDER BY seq DESC LIMIT 1
) AS told ON true
WHERE a.status = ANY ($4::text[]) AND ($5 OR NOT st.ended)
  AND (a.department = $1 OR (a.department = ANY ($2::text[]) AND NOT st.ended))
  AND ($6::boolean IS NULL OR (found.ended, found.rank, a.id) > ($6::boolean, $7::float8, $8::uuid))
ORDER BY found.ended, found.rank, a.id
LIMIT $9
