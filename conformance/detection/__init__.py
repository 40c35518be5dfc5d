"""Truth of the detection side: boxes, matching, box coding, losses and inference in rational arithmetic.

Nothing here is shared with `focal_ref.detection`: coordinates are converted to fractions exactly, and every decision
compares fractions.
"""
