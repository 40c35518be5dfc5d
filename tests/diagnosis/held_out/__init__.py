"""Focal losses kept back for measuring how often a diagnosis names the right cause."""
