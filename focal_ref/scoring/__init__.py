"""Scores logged predictions in Parquet or Zarr, larger than memory, and accounts for every row."""

from focal_ref.scoring.errors import ScoringError
from focal_ref.scoring.options import Options
from focal_ref.scoring.report import Report, as_text
from focal_ref.scoring.run import score

__all__ = ["Options", "Report", "ScoringError", "as_text", "score"]
