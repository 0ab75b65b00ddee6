-- drill_proofs: reads what was told of some orders ($4) by entries of some kinds ($5), from STARTEX ($2) to ENDEX ($3), in the order it was recorded.
SELECT * FROM timeline
WHERE incident_id = ANY ($1::uuid[]) AND recorded_at BETWEEN $2 AND $3 AND assignment_id = ANY ($4::uuid[]) AND entry = ANY ($5::text[])
ORDER BY recorded_at, entry_id
