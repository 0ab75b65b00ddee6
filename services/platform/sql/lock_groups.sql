-- lock_groups: keeps every other worker from opening, joining or leaving these groups of reports until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(key, 1)) FROM unnest($1::text[]) AS key ORDER BY hashtextextended(key, 1)
