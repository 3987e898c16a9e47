"""What a person looks at: overlays, and the files that hold results."""
