"""The header of numpy's .npy format, read before anything is allocated or mapped by what it says."""

from __future__ import annotations

from typing import IO

import numpy as np

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype; the stream stands at the array's first byte. Raises ValueError."""
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _READERS[version](stream)
    except Exception as error:  # numpy's header parser raises many types: ValueError, TokenError, …
        raise ValueError(f"not an .npy array ({type(error).__name__})") from error
    return shape, fortran, dtype
