"""The command `panda-train`."""
