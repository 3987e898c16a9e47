"""What a larger input buys."""
