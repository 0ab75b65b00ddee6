-- drill_of_incident: finds the drill that an incident belongs to, who sits in it, and whose officer decides in its directory.
SELECT d.document, d.seats, (
    SELECT r.document ->> 'duty_officer' FROM publication AS p JOIN directories AS r ON r.digest = coalesce(d.directory, p.directory)
    WHERE p.published_at <= d.clock_start OR p.id = (SELECT min(id) FROM publication) ORDER BY p.id DESC LIMIT 1
) AS officer
FROM drills AS d WHERE $1 = ANY (d.incident_ids) ORDER BY d.started_at DESC LIMIT 1
