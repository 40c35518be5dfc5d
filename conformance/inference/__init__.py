"""Inference: which conventions a function follows, found out by calling it.

`formulas` are the printed formulas in plain float64, for moderate inputs where nothing cancels; `subject` asks a
function; `losses` decides formula, prediction, classes and alpha together, and the other modules one axis each. An
answer lists the values that fit what was measured: one, several where no call can tell them apart, or none.
"""
