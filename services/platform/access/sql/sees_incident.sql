-- sees_incident: says whether one of some departments has, or had, an order in an incident.
SELECT EXISTS (SELECT FROM assignments WHERE incident_id = $1 AND department = ANY ($2::text[]))
