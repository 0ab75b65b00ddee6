-- real_mentions: finds what was added to the real side since a mark that mentions an incident anywhere in its text.
SELECT 'outbox' AS place, 'a message for ' || topic || ' of status ' || status || ' names the incident' AS what FROM outbox
WHERE seq > $2 AND (status = 'Actual' OR namespace = 'actual' OR topic LIKE 'muster.actual.%')
  AND (incident_id::text || value) LIKE ANY ($1::text[])
UNION ALL
SELECT 'timeline', 'an entry of status Actual mentions the incident: ' || entry FROM timeline
WHERE entry_id >= $3::uuid AND status = 'Actual' AND detail::text LIKE ANY ($1::text[])
UNION ALL
SELECT 'dead_letters', 'a real dead letter names the incident: ' || reason FROM dead_letters
WHERE id >= $3::uuid AND namespace = 'actual'
  AND (encode(coalesce(key, ''), 'escape') || encode(coalesce(value, ''), 'escape') || headers::text) LIKE ANY ($1::text[])
