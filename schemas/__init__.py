"""Wire contracts and topology: what may be said between Muster's parts, and where it is said.

Imports nothing of ours; imported by all. JSON Schemas and the AsyncAPI document under ``schemas/json`` are
generated from these models by ``python -m schemas.generate`` and kept in step by a test.

Version rule: within one major version (the ``.v1`` of an event's type) a contract only gains optional fields.
A reader keeps fields it doesn't know, reads every older message of the same major version, and refuses a
newer major version by name.
"""
