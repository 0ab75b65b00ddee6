-- unstick_messages: publishes again what was published a while ago and never decided: whatever happened on the way,
-- a repeat does no harm and a loss would. Looks back for $3 only; what is older is for `muster doctor --invariants`.
UPDATE outbox SET published_at = NULL, lease_until = clock_timestamp()
WHERE seq IN (
    SELECT seq FROM outbox
    WHERE namespace = $1 AND type IN ('muster.incident', 'muster.command', 'muster.acknowledgement')
      AND published_at < clock_timestamp() - $2::interval AND published_at > clock_timestamp() - $3::interval
      AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = outbox.event_id)
    FOR UPDATE SKIP LOCKED)
RETURNING seq
