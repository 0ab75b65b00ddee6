-- operations: what an operator looks at first: what waits, since when, and how much was decided lately.
SELECT
    (SELECT count(*) FROM outbox WHERE published_at IS NULL AND namespace = $1) AS waiting,
    (SELECT min(created_at) FROM outbox WHERE published_at IS NULL AND namespace = $1) AS waiting_since,
    (SELECT count(*) FROM inbox WHERE decided_at > clock_timestamp() - interval '5 minutes') AS decided,
    (SELECT max(decided_at) FROM inbox) AS decided_last,
    (SELECT count(*) FROM dead_letters WHERE state = 'open' AND namespace = $1) AS dead_letters,
    (SELECT count(*) FROM assignments WHERE next_due_at < clock_timestamp() - interval '10 seconds') AS late_timers,
    (SELECT begun_at FROM epochs WHERE namespace = $1) AS broker_since,
    (SELECT published_at FROM publication ORDER BY id DESC LIMIT 1) AS plans_since
