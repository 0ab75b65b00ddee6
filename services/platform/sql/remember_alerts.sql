-- remember_alerts: notes which incident alerts belong to; what is known already stays.
INSERT INTO alerts (status, sender, identifier, sent, incident_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[])
ON CONFLICT DO NOTHING RETURNING identifier
