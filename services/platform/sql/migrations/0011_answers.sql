-- A department's answer can come in over HTTP too; then it waits in the outbox for tracking's decision like a report.

DROP INDEX outbox_to_be_decided;
CREATE INDEX outbox_to_be_decided ON outbox (published_at)
    WHERE type IN ('muster.incident', 'muster.command', 'muster.acknowledgement');
