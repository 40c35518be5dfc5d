"""Conventions of losses: the axes on which implementations differ, and the formula of each value.

`axes` is the one table of axes and their values, `weights` and `formulas` are the printed formulas in Arb balls, and
`oracle` computes value and gradient of any combination with them.
"""
