"""What the kernels' tests share."""

import pytest

from panda_edge import _kernel
from panda_edge.search import kernel


@pytest.fixture(params=kernel.simd_levels())
def level(request):
    """Every SIMD level that this processor has, in force for one test."""
    before = kernel.simd_level()
    _kernel.force_simd(request.param)
    yield request.param
    _kernel.force_simd(before)
