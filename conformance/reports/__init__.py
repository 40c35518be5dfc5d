"""What is written of a run: its record, and the pages made from it."""

from focal_ref.conformance.reports.files import write

__all__ = ["write"]
