"""From an adapted torch backbone and normal images to a bundle that a device runs without torch."""
