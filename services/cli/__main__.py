"""``python -m services.cli``: the ``muster`` command without its script."""

from services.cli.main import main

main()
