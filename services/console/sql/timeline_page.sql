-- timeline_page: gives a page of one incident's timeline, newest first, narrowed to what was asked for.
-- In the order in which it was decided: the clocks that recorded it need not have agreed.
SELECT * FROM timeline
WHERE incident_id = $1 AND status = ANY ($2::text[])
    AND (cardinality($3::text[]) = 0 OR entry = ANY ($3))
    AND ($4::text IS NULL OR department = $4 OR detail -> 'departments' ? $4)
    AND (NOT $5::boolean OR attention)
    AND ($6::text IS NULL
        OR strpos(lower(concat_ws(' ', entry, department, by, reason, detail::text)), lower($6)) > 0)
    AND ($7::timestamptz IS NULL OR recorded_at <= $7)
    AND ($8::bigint IS NULL OR seq < $8)
ORDER BY seq DESC LIMIT $9
