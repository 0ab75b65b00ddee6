"""What planners write, read strictly: YAML files to domain values, and every mistake as one line that says where.

A file becomes text, a tree of strings, a document of `schemas.plan`, and a value of `services.domain`:

- `plans`: ``load_plan``, ``load_plans``, ``parse_plan``, ``compile_plan``, ``canonical``, ``digest``
- `directory`: ``load_directory``, ``parse_directory``, ``compile_directory``
- `conditions`: ``compile_condition``, and the table of what a condition can read; CEL is known here only
- `lint`: ``lint``, over documents; `check`: ``check``, over paths, with ``python -m services.playbooks.check``
- `diff`: ``diff``, what changed between two wordings of a plan
- `problem`: ``Problem``, one mistake; ``PlaybookError``, all the mistakes of a file

Plans and the directory are published to Postgres as documents: ``compile_plan(PlanDocument.model_validate(json))``
gives the same value, with the same digest, as the file did.
"""
