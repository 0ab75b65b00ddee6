-- drill_survey: goes through a drill's entries once: how many there are from STARTEX ($2) to ENDEX ($3), all and of some kinds ($4);
-- which are of the kinds that decide ($5); every report ($6); and what was recorded about orders later, which the report doesn't know yet.
SELECT count(*) FILTER (WHERE recorded_at <= $3) AS entries,
    count(*) FILTER (WHERE recorded_at <= $3 AND entry = ANY ($4::text[])) AS escalations,
    array_agg(entry_id) FILTER (WHERE recorded_at <= $3 AND entry = ANY ($5::text[])) AS deciding,
    array_agg(entry_id) FILTER (WHERE entry = $6) AS reports,
    array_agg(assignment_id) FILTER (WHERE recorded_at > $3 AND assignment_id IS NOT NULL) AS later_about,
    array_agg(entry) FILTER (WHERE recorded_at > $3 AND assignment_id IS NOT NULL) AS later_entries
FROM timeline WHERE incident_id = ANY ($1::uuid[]) AND recorded_at >= $2
