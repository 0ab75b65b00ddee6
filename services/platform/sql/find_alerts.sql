-- find_alerts: says which incident each of these alerts belongs to.
SELECT alerts.* FROM alerts
JOIN unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS wanted (status, sender, identifier, sent)
    USING (status, sender, identifier, sent)
