"""Which steps make the heat map and the image decision, chosen with one set left out."""
