"""Measurements of panda-edge: `python -m benchmarks.report` makes the report, `pytest benchmarks` times the parts."""
