"""Coverage-guided fuzzing of everything that reads what somebody else made: `make fuzz`. Needs the extra `fuzz`."""
