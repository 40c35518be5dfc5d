"""Which known fault explains a target that fails: its answers are compared with those of every mutant.

Two things are compared: the questions of the requirement that failed, and fixed experiments that tell faults apart.
A fault is named where it reproduces the wrong numbers and leaves right what the target has right.
"""

from focal_ref.conformance.diagnosis.causes import NO_CAUSE, Cause, Explanation
from focal_ref.conformance.diagnosis.diagnosis import Diagnosis
from focal_ref.conformance.diagnosis.recording import Recording

__all__ = ["NO_CAUSE", "Cause", "Diagnosis", "Explanation", "Recording"]
