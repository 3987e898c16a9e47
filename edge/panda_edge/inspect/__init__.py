"""What can be learned of a bundle on this machine: its contents, its numbers, its speed."""
