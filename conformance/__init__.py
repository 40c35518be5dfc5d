"""The conformance suite: what a focal loss must do, and whether one does it."""
