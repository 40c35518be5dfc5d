"""A whole run: plan, parts here or on a cluster, report."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

import numba
import numpy as np

from focal_ref._threads import get_num_threads, one_thread
from focal_ref._version import __version__
from focal_ref.scoring.errors import ScoringError
from focal_ref.scoring.options import LOSSES, Options
from focal_ref.scoring.parts import score_part
from focal_ref.scoring.report import Report, report_of
from focal_ref.scoring.results import Results, json_numbers, write
from focal_ref.scoring.sources import PARQUET, Part, Source, check_unchanged, cut, found, inspected
from focal_ref.scoring.sums import Sums

Progress = Callable[[int, int], None]

TIMEOUT = 30
"""Seconds that a scheduler has to answer."""

AHEAD = 4
"""Parts for each worker of a cluster that are handed out before their turn."""


def score(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    /,
    results: str | os.PathLike[str],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    r"""Focal loss of logged predictions, larger than memory, with an account of every row.

    Parameters
    ----------
    inputs : path or sequence of paths
        Parquet files, folders of them, and Zarr stores.
    results : path
        A directory: new, empty, or that of a run of the same input and options, which is then gone on with. Parts that
        it finished are not scored again.
    workers : int, optional
        Parts that are scored at once here; default `focal_ref.get_num_threads`.
    scheduler : str, optional
        Address of a dask.distributed scheduler, whose workers see the input and the results under the same paths.
    progress : callable, optional
        Called with the rows that are done and the rows that there are.
    **options
        The fields of `Options`: logits, targets, loss, alpha, gamma, encoding, precision, classes, group_by, by_class,
        allow_infinite, part_rows.

    Returns
    -------
    Report
        Also written to ``report.json`` in the results directory; rejected rows are in ``rejects/*.jsonl`` there.

    Raises
    ------
    ScoringError
        For input that is not there or whose columns do not fit, a results directory of other input or options, and
        input that changes while it is scored.
    TypeError, ValueError
        For options out of range, with the texts of the losses.

    Notes
    -----
    Sums are in float64, each term unrounded. Batches of a fixed number of rows are added in the order of the input, and
    so are row groups and parts: no digit depends on the number of workers, on a cluster, or on where a run was stopped.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from focal_ref.scoring import score
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pa.table({"logits": [0.0, 3.0, -3.0, float("nan")], "targets": [1, 1, 0, 0]})
    >>> pq.write_table(table, f"{folder.name}/predictions.parquet")
    >>> report = score(f"{folder.name}/predictions.parquet", f"{folder.name}/results")
    >>> report.rows_scored, report.rows_rejected
    (3, 1)
    >>> round(report.loss_sum, 6)
    0.043431
    >>> folder.cleanup()
    """
    many = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    asked = _options(options)
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ScoringError(f"workers: got {workers!r}; it is an integer >= 1")
    if workers is not None and scheduler is not None:
        raise ScoringError(f"workers: got {workers} with scheduler={scheduler!r}, whose workers are what there is")
    sources, asked = inspected(found(many), asked)
    if asked.lists or asked.loss == "binary":
        # Raises for what is out of range before anything is written.
        asked.parameters()
    directory = Results(results)
    versions = _versions(sources)
    fingerprint = directory.begin(asked, sources, versions)
    run = _Run(asked, sources, directory, fingerprint, progress)
    if scheduler is None:
        _here(run, workers or get_num_threads())
    else:
        _on_cluster(run, scheduler)
    report = run.report(versions)
    write(directory.report, report.data)
    directory.clear()
    return Report(json_numbers(report.data))


class _Run:
    """What is done, and what is left to do."""

    def __init__(
        self, options: Options, sources: Sequence[Source], results: Results, fingerprint: str, progress: Progress | None
    ) -> None:
        self.options, self.sources, self.results = options, sources, results
        self.fingerprint = fingerprint
        self._progress = progress
        self._rows = sum(sum(source.rows) for source in sources)
        self._done = 0

    def parts(self) -> Iterator[Part]:
        """Parts that are not finished; those that are count as progress."""
        for part in cut(self.sources, self.options):
            if self.results.finished(part, self.fingerprint):
                self.done(part)
            else:
                yield part

    def arguments(self, part: Part) -> tuple[Any, ...]:
        """Of `score_part`."""
        return part, self.options, str(self.results.directory), self.fingerprint

    def done(self, part: Part) -> None:
        """Say that a part is finished."""
        self._done += part.rows
        if self._progress is not None:
            self._progress(self._done, self._rows)

    def report(self, versions: dict[str, str]) -> Report:
        """Add up the parts, in the order of the input, from what they wrote."""
        for source in self.sources:
            check_unchanged(source)
        sums = Sums()
        unreadable: list[dict[str, Any]] = []
        for part in cut(self.sources, self.options):
            data = self.results.written(part, self.fingerprint)
            if data is None:
                raise ScoringError(
                    f"results: {self.results.part(part.index)} is not there after its part was scored; the workers "
                    "write into the results directory, which they all have to see under this path"
                )
            sums.add_data(data)
            unreadable += data["unreadable"]
        inputs = [source.as_data() for source in self.sources]
        return report_of(self.options.as_data(), versions, inputs, sums, unreadable)


def _here(run: _Run, workers: int) -> None:
    """Score the parts in threads: reading and kernels release Python's lock."""
    parts = run.parts()
    with ThreadPoolExecutor(workers, thread_name_prefix="focal_ref_score") as pool:
        running: dict[Future[None], Part] = {}
        try:
            while True:
                for part in islice(parts, workers - len(running)):
                    running[pool.submit(_alone, *run.arguments(part))] = part
                if not running:
                    return
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    part = running.pop(future)
                    future.result()
                    run.done(part)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _alone(*arguments: Any) -> None:
    with one_thread():
        score_part(*arguments)


def _on_cluster(run: _Run, address: str) -> None:
    """Score the parts on the workers of a cluster, a few of them handed out ahead."""
    from distributed import Client, as_completed

    try:
        client = Client(address, timeout=TIMEOUT, set_as_default=False)
    except OSError as error:
        raise ScoringError(f"scheduler: no scheduler answers at {address!r}: {error}") from error
    parts = run.parts()
    with client:
        running: dict[Any, Part] = {}

        def hand_out(most: int) -> list[Any]:
            handed = []
            for part in islice(parts, most):
                # pure=False: a part that could not be read before is scored anew.
                future = client.submit(_alone, *run.arguments(part), pure=False)
                running[future.key] = part
                handed.append(future)
            return handed

        threads = sum(client.nthreads().values())
        futures = as_completed(hand_out(max(1, threads) * AHEAD), loop=client.loop)
        for future in futures:
            part = running.pop(future.key)
            try:
                future.result()
            except ScoringError:
                raise
            except Exception as error:
                raise ScoringError(
                    f"scheduler: part {part.index} ({part.source.path}) did not finish on the cluster: "
                    f"{type(error).__name__}: {error}; run the same command again to go on"
                ) from error
            run.done(part)
            for further in hand_out(1):
                futures.add(further)


def _options(given: dict[str, Any]) -> Options:
    for name in given:
        if name not in Options.__dataclass_fields__:
            raise TypeError(f"{name}: score has no such option; it has {', '.join(Options.__dataclass_fields__)}")
    group_by = given.get("group_by", ())
    given = {**given, "group_by": (group_by,) if isinstance(group_by, str) else tuple(group_by)}
    if "alpha" not in given and given.get("loss") in LOSSES:
        given["alpha"] = LOSSES[given["loss"]].defaults["alpha"]
    for name in ("alpha", "gamma"):
        if isinstance(given.get(name), (list, np.ndarray)):
            given[name] = tuple(float(number) for number in given[name])
    return Options(**given)


def _versions(sources: Sequence[Source]) -> dict[str, str]:
    """Of all that a digit may depend on."""
    versions = {"focal-ref": __version__, "numpy": np.__version__, "numba": numba.__version__}
    kinds = {source.kind for source in sources}
    if PARQUET in kinds:
        import pyarrow

        versions["pyarrow"] = pyarrow.__version__
    if kinds - {PARQUET}:
        import zarr

        versions["zarr"] = zarr.__version__
    return versions
