-- drill_phases: says how far these incidents are; what was published and never decided has no row.
SELECT id, phase, joined_to FROM incidents WHERE id = ANY ($1::uuid[])
