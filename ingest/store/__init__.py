"""What was received and found, kept: raw chunks are the record of truth, everything else is derived.

Chunks and vitals lie in partitions by arrival that are dropped whole (`waveforms.py`): segment files beside
an SQLite file (`segments.py`), or tables in PostgreSQL (`partitions.py`). Windows, verdicts, alarms and
refused payloads are rows of the database (`schema.py`). `archive.py` joins both. Bytes: docs/store.md.
"""
