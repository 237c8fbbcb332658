"""What deskgate costs: one question a file, each run by `python -m benchmarks` (docs/benchmarks.md says how)."""
