-- Tasks that a duty officer gives beside the plan's own are kept with the activation they belong to.

ALTER TABLE activations ADD COLUMN added jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN activations.added IS 'Tasks that a duty officer added, frozen as they were given; durations are ISO 8601.';
