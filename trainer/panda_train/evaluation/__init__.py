"""How well a bundle does on labelled images, and the page that shows it."""
