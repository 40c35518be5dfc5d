"""Parquet files: what their columns must be, and their row groups by the batch, a few pages in memory at a time."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from focal_ref.scoring.batches import Array, Batch, Problem
from focal_ref.scoring.columns import check_classes, check_group, check_logits, check_same, check_targets
from focal_ref.scoring.errors import ScoringError, Unreadable
from focal_ref.scoring.options import Options
from focal_ref.scoring.sources import Unit

FOOTER = 1 << 16
"""Bytes at the end of a file that tell one content from another."""

LARGE = 1 << 26
"""Compressed bytes of a column in one row group from which on the file is mapped: pages that were read can go again."""


def state(path: str) -> str:
    """Size, time of the last change, and a hash of the end of the file, where the footer is."""
    stat = os.stat(path)
    with open(path, "rb") as file:
        file.seek(max(0, stat.st_size - FOOTER))
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    return f"{stat.st_size} bytes, changed {stat.st_mtime_ns}, {digest}"


def inspect(path: str, options: Options, types: dict[str, str]) -> tuple[list[int], Options]:
    """Rows of each row group, and the options with the number of classes; columns are checked on the way."""
    file = _opened(path)
    try:
        metadata = file.metadata
        rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(_text(error)) from error
    for name in options.columns:
        if schema.names.count(name) != 1:
            problem = "there is no" if name not in schema.names else "there is more than one"
            raise ScoringError(f"{path}: {problem} column {name!r}; its columns are {', '.join(schema.names)}")
    logits, targets = (schema.field(name).type for name in (options.logits, options.targets))
    check_logits(path, options, _item(logits), is_list=_is_list(logits))
    check_targets(path, options, _item(targets), is_list=_is_list(targets), lists=_is_list(logits))
    check_same(path, options.logits, "lists" if _is_list(logits) else "numbers", types)
    for name in options.group_by:
        kind = schema.field(name).type
        check_same(path, name, check_group(path, name, str(_value_type(kind))), types)
    if _is_list(logits):
        fixed = logits.list_size if pa.types.is_fixed_size_list(logits) else None
        if fixed is None and options.classes is None:
            fixed = _first_length(file, options.logits)
        options = check_classes(path, options, fixed)
    return rows, options


def batches(path: str, unit: Unit, options: Options) -> Iterator[Batch]:
    """The rows of a row group."""
    first = unit.first
    try:
        file = _opened(path)
        if _largest(file.metadata.row_group(unit.number), options) > LARGE:
            file = _opened(path, memory_map=True)
        pieces = file.iter_batches(
            batch_size=options.batch_rows, row_groups=[unit.number], columns=options.columns, use_threads=False
        )
        for piece in pieces:
            yield _batch(piece, first, options)
            first += piece.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(_text(error)) from error
    if first - unit.first != unit.rows:
        raise Unreadable(f"the row group holds {first - unit.first} rows, and by the footer {unit.rows}")


def _opened(path: str, *, memory_map: bool = False) -> Any:
    try:
        # Not read ahead, and without a buffer: that of pyarrow grows with the column. Checksums, if any, are verified.
        return pq.ParquetFile(path, memory_map=memory_map, pre_buffer=False, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(_text(error)) from error


def _largest(row_group: Any, options: Options) -> int:
    """Compressed bytes of the largest of the columns that are read."""
    columns = [row_group.column(number) for number in range(row_group.num_columns)]
    sizes = [column.total_compressed_size for column in columns if _top(column.path_in_schema) in options.columns]
    return max(sizes, default=0)


def _top(path: str) -> str:
    """The name of a column; lists have further names for what is in them."""
    return path.removesuffix(".list.element").removesuffix(".list.item").removesuffix(".array")


def _batch(piece: Any, first: int, options: Options) -> Batch:
    problems = np.zeros(piece.num_rows, np.uint8)
    batch = Batch(first, np.empty(0), np.empty(0), problems, row=lambda index: piece.slice(index, 1).to_pylist()[0])
    batch.logits = _values(
        batch, piece.column(options.logits), options, Problem.NULL_LOGITS, Problem.LENGTH_OF_LOGITS, Problem.NULL_LOGIT
    )
    batch.targets = _values(
        batch,
        piece.column(options.targets),
        options,
        Problem.NULL_TARGETS,
        Problem.LENGTH_OF_TARGETS,
        Problem.NULL_TARGET,
    )
    for name in options.group_by:
        batch.groups[name] = _codes(piece.column(name))
    return batch


def _values(batch: Batch, column: Any, options: Options, null: Problem, length: Problem, item: Problem) -> Array:
    """A column as an array; zeros where a problem is noted."""
    if column.null_count:
        batch.note(_numbers(column.is_null()), null)
    if not _is_list(column.type):
        return _numbers(pc.fill_null(column, _zero(column.type)))
    fits = _numbers(pc.fill_null(pc.equal(pc.list_value_length(column), options.classes), False))
    if not fits.all():
        batch.note(~fits, length)
        column = column.filter(pa.array(fits))
    flat = column.flatten()
    shape = (int(fits.sum()), options.row_elements)
    missing = _numbers(flat.is_null()).reshape(shape).any(axis=1) if flat.null_count else None
    values = _numbers(pc.fill_null(flat, _zero(flat.type))).reshape(shape)
    if missing is not None:
        bad = np.zeros(batch.rows, np.bool_)
        bad[fits] = missing
        batch.note(bad, item)
    if fits.all():
        return values
    every = np.zeros((batch.rows, options.row_elements), values.dtype)
    every[fits] = values
    return every


def _codes(column: Any) -> tuple[Any, list[Any]]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode(null_encoding="encode")
    return _numbers(encoded.indices).astype(np.int64), encoded.dictionary.to_pylist()


def _numbers(column: Any) -> Array:
    array: Array = column.to_numpy(zero_copy_only=False)
    return array


def _zero(kind: Any) -> Any:
    return pa.scalar(False) if pa.types.is_boolean(kind) else pa.scalar(0).cast(kind)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _item(kind: Any) -> str:
    """What NumPy calls the type of a number."""
    inner = str(kind.value_type if _is_list(kind) else kind)
    return {"halffloat": "float16", "float": "float32", "double": "float64"}.get(inner, inner)


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _first_length(file: Any, name: str) -> int | None:
    """The length of the first list that there is and that can be read."""
    for number in range(file.metadata.num_row_groups):
        try:
            for piece in file.iter_batches(batch_size=1024, row_groups=[number], columns=[name], use_threads=False):
                lengths = pc.list_value_length(piece.column(name)).drop_null()
                if len(lengths):
                    return int(lengths[0].as_py())
        except (pa.ArrowException, OSError):
            continue
    return None


def _text(error: Exception) -> str:
    """The first line of what pyarrow says."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
