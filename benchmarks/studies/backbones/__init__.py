"""What other networks buy, in accuracy, milliseconds and megabytes."""
