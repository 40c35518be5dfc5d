"""Numba kernels of the closed forms, and what drives them over NumPy arrays."""
