"""How well few normal pictures do, alone and with turned copies of each."""
