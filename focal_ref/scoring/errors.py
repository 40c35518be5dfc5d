"""What stops a run of the scorer before it is done."""


class ScoringError(ValueError):
    """Input, options or a results directory that nothing can be scored with; the text says what to do."""


class Unreadable(Exception):
    """A file, or a piece of one, whose bytes do not hold what they should; the rest is scored without it."""
