"""Any language: a program that answers questions as JSON lines. docs/protocol.md is the page for its author."""

PROTOCOL = 1
"""The version that this suite speaks; see docs/versioning.md."""
