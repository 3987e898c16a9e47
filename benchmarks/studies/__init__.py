"""Questions that were asked once: each has its script, its result and its table in a folder of its own."""
