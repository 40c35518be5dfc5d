"""What several processes of `torch.distributed` divide by, so that they train as a single one would."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["SumOverRanks"]


class SumOverRanks:
    r"""Counts summed over the ranks of a process group, for ``sum_over_ranks`` of the detection losses.

    With the pictures of a batch shared out among ranks, and s and n summed over a rank's own pictures, each rank gets

    .. math:: L_r = W \frac{s_r}{\max(1, \sum_q n_q)}

    whose gradients `torch.nn.parallel.DistributedDataParallel` and ``fully_shard`` average over the W ranks. That mean,
    and the mean of the losses, are what a single process gets from all the pictures. The ranks may have different
    numbers of pictures, no positive or no picture; each calls the loss once a step, for it takes part in a collective.

    Parameters
    ----------
    group : ProcessGroup, optional
        The ranks that share out a batch; all of them by default. It is looked up once, here.
    average : bool, default True
        Whether gradients are averaged over the group, as DistributedDataParallel and ``fully_shard`` do; False where
        they are summed, as by ``all_reduce`` or with ``set_gradient_divide_factor(1.0)``. W is then 1.

    Attributes
    ----------
    averaged_over : int
        W: the size of the group, or 1.

    Raises
    ------
    ValueError
        If this process is not in the group.

    Notes
    -----
    A loss communicates one float64 number, once, on the device of its sums. Where no process group is initialised there
    is one process, and the loss is that of a single one; so initialise first. Under ``torch.compile`` the collective
    is part of the graph.

    A rank that is killed makes the collective of the others an error, and one that stops answering does so after
    the timeout of the process group. ``Join`` of torch.distributed does not know this collective: give a rank that has
    run out of data a batch of no pictures.

    Run with gloo on CPUs; not yet run on a GPU.

    Examples
    --------
    >>> import torch
    >>> from focal_ref.detection import normalize_loss
    >>> from focal_ref.integrations.torch_distributed import SumOverRanks
    >>> ranks = SumOverRanks()
    >>> sums, num_positive = torch.tensor([40.0, 40.0]), torch.tensor([10, 0])
    >>> normalize_loss(sums, num_positive, "batch", sum_over_ranks=ranks)
    tensor(8.)
    >>> ranks.normalizer(num_positive)
    tensor(10., dtype=torch.float64)
    """

    def __init__(self, group: Any = None, *, average: bool = True) -> None:
        self._group = None
        self.averaged_over = 1
        if not (dist.is_available() and dist.is_initialized()):
            return
        if group is None:
            group = dist.group.WORLD
        if dist.get_rank(group) < 0:
            raise ValueError(f"group: process {dist.get_rank()} is not in it; only its members call the loss")
        self._group = group
        if average:
            self.averaged_over = dist.get_world_size(group)

    def __call__(self, count: Tensor | float) -> Tensor:
        """The sum over the ranks.

        Parameters
        ----------
        count : Tensor or float
            Of this rank, shape ().

        Returns
        -------
        Tensor
            float64, shape (), without a derivative.
        """
        # A tensor of its own, as the collective writes to it. Integers up to 2^53 are exact.
        total = torch.as_tensor(count).detach().to(torch.float64, copy=True)
        if self._group is not None:
            dist.all_reduce(total, group=self._group)
        return total

    def normalizer(self, count: Tensor | float) -> Tensor:
        r"""What ``normalizer=`` of any loss of this package takes with ``reduction="sum"``: :math:`\max(1, n) / W`.

        Parameters
        ----------
        count : Tensor or float
            How much of what is divided by this rank has: positives, or elements for a mean. Of an array of any shape
            the sum enters.

        Returns
        -------
        Tensor
            float64, shape ().

        Examples
        --------
        >>> import torch
        >>> import focal_ref
        >>> from focal_ref.integrations.torch_distributed import SumOverRanks
        >>> logits, labels = torch.zeros(3, 2), torch.tensor([1, -1, -2])
        >>> ranks = SumOverRanks()
        >>> focal_ref.loss_from_labels(logits, labels, reduction="sum", normalizer=ranks.normalizer(labels >= 0))
        tensor(0.4332)
        """
        counts = torch.as_tensor(count)
        wide = counts if counts.is_floating_point() else counts.to(torch.int64)
        return self(wide.sum()).clamp(min=1.0) / self.averaged_over

    def loss_of_all(self, loss: Tensor) -> Tensor:
        """The loss of the whole batch, for logs: what the ranks' losses add up to, over W.

        Parameters
        ----------
        loss : Tensor
            Of this rank, shape ().

        Returns
        -------
        Tensor
            Of the loss's dtype, shape (), without a derivative. A collective of its own: every rank calls it.
        """
        return (self(loss) / self.averaged_over).to(loss.dtype)
