"""What every backbone's levels and inputs have in common."""

STRIDES = (16, 8, 4)
"""Strides of the pyramid's levels, coarse first."""

INPUT_MULTIPLE = 32
"""Input height and width are multiples of this, so that each level is exactly twice as fine as the one before."""
