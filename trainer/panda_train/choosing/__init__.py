"""Choosing a bank, a resolution and a score rule from normal pictures alone, by defects painted into some of them."""
