"""Where outcomes go: lines, files, brokers, addresses, counters. None of them delays a frame."""
