-- expired_incidents: finds incidents that are over, whose last entry lies in a month before their status's term, and which
-- nobody holds: all their rows are then in partitions older than the term.
SELECT i.id, i.status FROM incidents AS i JOIN retention AS r USING (status)
CROSS JOIN LATERAL (
    SELECT max(recorded_at) AS last_at FROM timeline AS t WHERE t.incident_id = i.id
) AS told
WHERE i.phase IN ('closed', 'joined')
  AND greatest(told.last_at, i.reported_at)
      < date_trunc('month', now() - make_interval(days => r.days), 'UTC')
  AND NOT EXISTS (SELECT FROM holds AS h WHERE h.incident_id = i.id AND h.released_at IS NULL)
  -- What joined an incident that is kept is kept with it, and the other way round.
  AND NOT EXISTS (
      SELECT FROM incidents AS o LEFT JOIN holds AS h ON h.incident_id = o.id AND h.released_at IS NULL
      WHERE (o.id = i.joined_to OR o.joined_to = i.id OR o.joined_to = i.joined_to)
        AND (h.incident_id IS NOT NULL OR o.phase NOT IN ('closed', 'joined')))
ORDER BY i.id
