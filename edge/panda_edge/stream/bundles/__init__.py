"""A better bundle beside the one at work: tried, applied, undone, or asked for."""
