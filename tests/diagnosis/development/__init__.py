"""Implementations of the sigmoid focal loss, wrong and right, on which the diagnosis is developed."""
