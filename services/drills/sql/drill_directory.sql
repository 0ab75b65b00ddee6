-- drill_directory: finds the directory that named a drill's departments: the one it came with, else the one in force at its STARTEX.
SELECT digest, document FROM directories WHERE digest = coalesce(
    (SELECT directory FROM drills WHERE id = $1),
    (SELECT p.directory FROM publication AS p JOIN drills AS d ON d.id = $1 AND p.published_at <= d.clock_start ORDER BY p.id DESC LIMIT 1),
    (SELECT directory FROM publication ORDER BY id LIMIT 1))
