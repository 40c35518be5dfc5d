"""The detection side: anchors, overlaps, matching, box coding, targets, the RetinaNet loss, sampling and inference."""
