"""Whether networks of timm, exported, give what timm's own forward pass gives."""
