"""The page to look at: what the device sees now, what it found, and what was normal after all."""
