"""Where pictures come from: cameras, video, addresses, folders, stdin."""
