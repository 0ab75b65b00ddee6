"""Every entry there is, by name, and which module has it: a process imports no more than its own."""

from importlib import import_module

from tests.fuzz.harness import Entry

MODULES = {
    "http": ("http",),
    "cap": ("cap",),
    "batches": ("batch",),
    "messages": ("topic-incident", "topic-command", "topic-acknowledgement", "topic-assignment", "topic-timeline"),
    "playbooks": ("yaml-plan", "yaml-directory", "yaml-drill", "yaml-model"),
    "conditions": ("cel-plan", "cel-drill"),
    "files": ("json-report", "cli-report", "cli-cap", "cli-csv", "cli-bundle"),
}
NAMES = tuple(name for names in MODULES.values() for name in names)


def entry_named(name: str) -> Entry:
    """Give one entry; raises StopIteration for a name that isn't in `NAMES`."""
    module = next(module for module, names in MODULES.items() if name in names)
    found: list[Entry] = import_module(f"tests.fuzz.{module}").entries()
    return next(entry for entry in found if entry.name == name)
