-- An incident's timeline is read in the order in which it was decided, whatever the clocks said that recorded it.

DROP INDEX timeline_incident;
CREATE INDEX timeline_incident ON timeline (incident_id, seq);
