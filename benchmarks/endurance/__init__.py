"""What must not break: kills, crowds, full disks, a million frames, another processor."""
