"""Measures vinyl beside its peers: `python -m benchmarks`. README.md says how, and how to read what it finds."""
