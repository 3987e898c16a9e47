"""The command `panda-edge`."""
