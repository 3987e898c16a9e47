"""Instructions of the NEON kernels beside the scalar ones, counted under emulation."""
