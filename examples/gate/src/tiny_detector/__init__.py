"""A detector small enough to show one thing: how a focal loss is held to a conformance suite."""

from tiny_detector.losses import focal_loss

__all__ = ["focal_loss"]
