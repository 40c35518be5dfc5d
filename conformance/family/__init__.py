"""The truth for the losses beside the paper's own, and for all derivatives in parameters.

`oracle` computes a quantity by the printed formula in mpmath, `certify` proves its rounding with Arb and serves as
truth for many elements, and `vectors` reads the stored tests.
"""
