"""Measurements of panda-edge.

`speed/` and `peers/` are run at every release, `endurance/` before one. `studies/` are questions that were asked once.
`lib/` is what they share. A room keeps its rows and tables in its `results/`, a study beside its script.
"""
