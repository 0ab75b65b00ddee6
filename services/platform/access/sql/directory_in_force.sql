-- directory_in_force: gives the department directory that was published last.
SELECT document FROM directories WHERE digest = (SELECT directory FROM publication ORDER BY id DESC LIMIT 1)
