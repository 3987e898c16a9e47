"""What was judged, kept in a file: written by a sink, read by the page and by `panda-edge history`."""
