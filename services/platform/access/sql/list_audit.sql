-- list_audit: lists acts, newest first, from behind one of them; an action stands for those below it too.
SELECT id, at, by, by_id, action, target, outcome, address, detail FROM audit
WHERE ($1::bigint IS NULL OR id < $1) AND ($3::text IS NULL OR by = $3)
    AND ($4::text IS NULL OR action = $4 OR starts_with(action, $4 || '.')) AND ($5::text IS NULL OR target = $5)
    AND ($6::text IS NULL OR outcome = $6) AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
ORDER BY id DESC LIMIT $2
