"""What keras_hub's RetinaNet matches, in a process of its own, as Keras chooses its backend once.

Usage: keras_hub_matching.py PICTURES RESULTS. PICTURES is an npz file of anchors_<name> and boxes_<name>; RESULTS gets
code_<name>: the ground truth's index, -1 for background, -2 for ignored.
"""

import sys
import types
from pathlib import Path

import numpy as np
from peers import folder, in_place_of, package


def load_box_matcher():
    """`BoxMatcher` alone: keras_hub as a whole wants text and hub packages."""
    root = folder("keras_hub")
    exports = types.ModuleType("keras_hub.src.api_export")
    exports.keras_hub_export = lambda *arguments, **settings: lambda exported: exported
    tensors = types.ModuleType("keras_hub.src.utils.tensor_utils")
    tensors.assert_bounding_box_support = lambda name: None
    stand_ins = (
        package("keras_hub", root),
        package("keras_hub.src", root / "src"),
        package("keras_hub.src.utils"),
        exports,
        tensors,
    )
    with in_place_of(*stand_ins):
        from keras_hub.src.layers.modeling.box_matcher import BoxMatcher
    return BoxMatcher


def main(pictures, results):
    """Match every picture with the settings of keras_hub's RetinaNet."""
    import keras

    matcher = load_box_matcher()(thresholds=[0.4, 0.5], match_values=[-1, -2, 1], force_match_for_each_col=False)
    given, found = np.load(pictures), {}
    for key in given.files:
        if key.startswith("anchors_"):
            name = key.removeprefix("anchors_")
            iou = keras.utils.bounding_boxes.compute_iou(given[key], given[f"boxes_{name}"], "xyxy")
            index, state = (np.asarray(array) for array in matcher(iou))
            found[f"code_{name}"] = np.where(state == 1, index, state)
    np.savez(results, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
