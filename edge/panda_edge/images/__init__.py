"""From pictures to frames: reading, preprocessing, what a command line's inputs mean."""
