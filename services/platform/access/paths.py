"""Where a person may be sent on after signing in: to a path of this site, whatever a link says."""


def own_path(target: str) -> str:
    """Take a path of this site, or its beginning where the text may lead elsewhere."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"
