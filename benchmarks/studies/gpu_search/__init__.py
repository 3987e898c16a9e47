"""Whether a search on a GPU would pay, on paper from measured parts."""
