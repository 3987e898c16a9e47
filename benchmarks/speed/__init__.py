"""What a frame, a bank and a bundle cost. `python -m benchmarks.speed.report` writes the report of a release."""
