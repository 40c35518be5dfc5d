"""Zarr stores: groups whose arrays are the columns, read by chunks of rows."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr

from focal_ref.scoring.batches import Array, Batch
from focal_ref.scoring.columns import check_classes, check_group, check_logits, check_same, check_targets
from focal_ref.scoring.errors import ScoringError, Unreadable
from focal_ref.scoring.options import Options
from focal_ref.scoring.sources import Unit


def state(path: str) -> str:
    """A hash of the names, sizes and times of all files of the store."""
    digest, count, size = hashlib.sha256(), 0, 0
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            stat = os.stat(os.path.join(folder, name))
            relative = os.path.relpath(os.path.join(folder, name), path)
            digest.update(f"{relative}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
            count, size = count + 1, size + stat.st_size
    return f"{size} bytes in {count} files, {digest.hexdigest()[:16]}"


def inspect(path: str, options: Options, types: dict[str, str]) -> tuple[list[int], Options]:
    """Rows of each chunk of the logits along the first axis, and the options with the number of classes."""
    arrays = _arrays(path, options)
    logits, targets = arrays[options.logits], arrays[options.targets]
    for name, array in arrays.items():
        dimensions = (1, 2) if name in (options.logits, options.targets) else (1,)
        if array.ndim not in dimensions:
            raise ScoringError(f"{path}: array {name!r} has shape {array.shape}; its first axis is that of the rows")
        if array.shape[0] != logits.shape[0]:
            raise ScoringError(
                f"{path}: array {name!r} has {array.shape[0]} rows, and {options.logits!r} {logits.shape[0]}"
            )
    check_logits(path, options, str(logits.dtype), is_list=logits.ndim == 2)
    check_targets(path, options, str(targets.dtype), is_list=targets.ndim == 2, lists=logits.ndim == 2)
    check_same(path, options.logits, "lists" if logits.ndim == 2 else "numbers", types)
    for name in options.group_by:
        kind = arrays[name].dtype
        text = "string" if kind.kind in "UT" else str(kind)
        check_same(path, name, check_group(path, name, text), types)
    if logits.ndim == 2:
        options = check_classes(path, options, logits.shape[1])
        if targets.ndim == 2 and targets.shape != logits.shape:
            raise ScoringError(
                f"{path}: array {options.targets!r} has shape {targets.shape}, and {options.logits!r} {logits.shape}"
            )
    # Of a sharded array, a shard is one file.
    length = (logits.shards or logits.chunks)[0]
    return [min(length, logits.shape[0] - first) for first in range(0, logits.shape[0], length)], options


def batches(path: str, unit: Unit, options: Options) -> Iterator[Batch]:
    """The rows of a chunk, which is read as a whole."""
    try:
        whole = {name: np.asarray(array[_rows(unit)]) for name, array in _arrays(path, options).items()}
    except ScoringError:
        raise
    except Exception as error:
        # Each codec has errors of its own.
        raise Unreadable(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}") from error
    for start in range(0, unit.rows, options.batch_rows):
        piece = {name: values[start : start + options.batch_rows] for name, values in whole.items()}
        yield _batch(piece, unit.first + start, options)


def _rows(unit: Unit) -> slice:
    return slice(unit.first, unit.first + unit.rows)


def _batch(piece: dict[str, Array], first: int, options: Options) -> Batch:
    logits, targets = (np.ascontiguousarray(_native(piece[name])) for name in (options.logits, options.targets))
    groups = {}
    for name in options.group_by:
        values, codes = np.unique(piece[name], return_inverse=True)
        groups[name] = (codes.astype(np.int64), values.tolist())
    return Batch(
        first,
        logits,
        targets,
        np.zeros(len(logits), np.uint8),
        groups,
        row=lambda index: {name: values[index].tolist() for name, values in piece.items()},
    )


def _native(array: Array) -> Array:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _arrays(path: str, options: Options) -> dict[str, Any]:
    try:
        group = zarr.open(path, mode="r")
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}") from error
    if not isinstance(group, zarr.Group):
        raise ScoringError(f"{path}: is one array; a store is a group with arrays {', '.join(options.columns)}")
    arrays = {}
    for name in options.columns:
        array = group.get(name)
        if not isinstance(array, zarr.Array):
            raise ScoringError(f"{path}: there is no array {name!r}; there are {', '.join(sorted(group.array_keys()))}")
        arrays[name] = array
    return arrays
