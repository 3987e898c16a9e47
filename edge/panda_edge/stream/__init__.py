"""The device at work: pictures come in by themselves, decisions go out, for months."""
