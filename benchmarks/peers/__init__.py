"""Other people's libraries on the same data, in the same run."""
