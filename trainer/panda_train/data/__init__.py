"""Where images come from: folders of them, those held out, a made sample."""
