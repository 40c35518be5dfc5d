"""What one requirement and dtype came to."""

from dataclasses import dataclass, field

from focal_ref.conformance.cases import Cases
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.regimes import Regimes


@dataclass(frozen=True)
class Outcome:
    """What one requirement and dtype came to.

    Attributes
    ----------
    comparisons
        Elements compared; a check that compares nothing has failed.
    error, budget
        The largest error in proportion to its budget, and that budget, in ulp; 0 where nothing was measured.
    findings
        Empty if the requirement is met.
    regimes
        The largest errors by regime.
    cases
        Which cases passed, and in which ways the others failed.
    """

    comparisons: int
    error: float
    budget: float
    findings: tuple[Finding, ...]
    regimes: Regimes = field(default_factory=Regimes)
    cases: Cases = field(default_factory=Cases)
