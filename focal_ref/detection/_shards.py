"""A batch of pictures whose logits are spread over processes, each of which sees its own part."""

from typing import Any, NamedTuple

from focal_ref._arguments import check_call
from focal_ref._definitions import LABELS
from focal_ref.detection._arrays import Adapter, Array, adapter_of, as_box_dtype
from focal_ref.detection.matching import POSITIVE, Matches


class Part(NamedTuple):
    """What of a batch is this process's: some pictures, and some anchors of what the two heads say of them.

    Attributes
    ----------
    shards
        Of the class logits, as their adapter has them.
    batched
        Whether there is an axis of pictures.
    pictures, places
        Where its pictures and anchors stand among all.
    logits, deltas
        Its outputs of both heads, differentiable.
    """

    shards: Any
    batched: bool
    pictures: slice
    places: slice
    logits: Array
    deltas: Array

    def of_pictures(self, name: str, array: Array | None) -> Array | None:
        """The process's pictures of an array of all pictures."""
        if array is None or not self.batched:
            return None if array is None else self.shards.whole(name, array)
        return self.shards.part(name, array, tuple(array.shape), only=0)

    def of_anchors(self, anchors: Array) -> Array:
        """All anchors of the process's pictures: which one is a ground truth's best cannot be told from some."""
        return self.shards.whole("anchors", anchors) if anchors.ndim == 2 else self.of_pictures("anchors", anchors)

    def of_matches(self, matches: Any) -> Any:
        """The process's pictures of matches."""
        if not isinstance(matches, Matches):
            return matches
        return Matches(*(self.of_pictures("matches", array) for array in matches))

    def sums(self, labels: Array, distances: Array, state: Array, options: dict[str, Any]) -> tuple[Array, ...]:
        """Sums of all pictures, the same on every process, in one collective a sharded dimension of the mesh.

        Parameters
        ----------
        labels, distances, state
            Of the process's pictures and anchors.
        options
            Hyper-parameters of the focal loss.

        Returns
        -------
        classes, boxes, num_positive
            Of shape (N,), in float64; N is 1 for a picture without a batch axis.
        """
        # One that has shards has sums without a rounding.
        adapter: Any = adapter_of(self.logits)
        xp = adapter.namespace(self.logits)
        options = {
            name: self.shards.part(name, value, self.shards.shape) if adapter.owns(type(value)) else value
            for name, value in options.items()
        }
        count = self.pictures.stop - self.pictures.start
        rows = []
        for picture in [(number, ...) for number in range(count)] if self.batched else [(...,)]:
            call = check_call(adapter, LABELS, self.logits[picture], labels[picture], options)
            terms = (adapter.unrounded_total(*call), distances[picture], state[picture] == POSITIVE)
            rows.append(xp.stack([xp.sum(xp.astype(term, xp.float64)) for term in terms]))
        own = xp.stack(rows, axis=1) if rows else self._nothing(adapter, options)
        before = xp.zeros((3, self.pictures.start), dtype=xp.float64, device=own.device)
        pictures = self.shards.shape[0] if self.batched else 1
        after = xp.zeros((3, pictures - self.pictures.stop), dtype=xp.float64, device=own.device)
        classes, boxes, num_positive = self.shards.added(xp.concat([before, own, after], axis=1))
        return classes, boxes, num_positive

    def _nothing(self, adapter: Adapter, options: dict[str, Any]) -> Array:
        """Sums of no pictures, shape (3, 0)."""
        xp = adapter.namespace(self.logits)
        sums = sums_of_nothing(adapter, self.logits, self.deltas, options, xp.float64)
        return xp.stack([*sums, xp.zeros_like(sums[0])])


def sums_of_nothing(
    adapter: Adapter, logits: Array, deltas: Array, options: dict[str, Any], dtype: Any
) -> tuple[Array, Array]:
    """Both losses of no pictures, shape (0,): all that is differentiated keeps its place in a framework's graph.

    A process whose graph lacks a part would leave those waiting that communicate its derivative.
    """
    xp = adapter.namespace(logits)
    classes, boxes = (
        xp.sum(xp.astype(as_box_dtype(adapter, array), dtype), axis=(-2, -1)) for array in (logits, deltas)
    )
    for value in options.values():
        if adapter.owns(type(value)):
            classes = classes + xp.astype(xp.sum(value), dtype)
    return classes, boxes


def part_of(shards: Any, box_deltas: Array) -> Part:
    """Share a batch out as its logits are."""
    rank = len(shards.shape)
    shards.refuse(rank - 1, "the loss of an anchor needs all its classes on one process")
    deltas = shards.part("box_deltas", box_deltas, (*shards.shape[:-1], 4))
    batched = rank == 3
    pictures = shards.span(0) if batched else slice(0, 1)
    return Part(shards, batched, pictures, shards.span(rank - 2), shards.local, deltas)
