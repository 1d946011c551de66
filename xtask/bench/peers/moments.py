"""The moments of every window of a rolling Lasso, from sums that are cumulated once."""

import numpy as np

import market


class Moments:
    """What the fits of one window length need: for z-scored returns, `gram` is the correlation of the stocks and `pull`
    that of the stocks with the benchmark; one entry for each refit."""

    def __init__(self, sums: np.ndarray, days: int, in_window: int):
        ends = market.refits(days, in_window)
        products = (sums[ends] - sums[ends - in_window]) / in_window
        mean = products[:, :-1, -1]
        covariance = products[:, :-1, :-1] - mean[:, :, None] * mean[:, None, :]
        squares, variance = (np.einsum("nii->ni", it) for it in (products[:, :-1, :-1], covariance))
        moves = variance > market.VARIANCE_RELATIVE_MIN * squares
        inverse = np.where(moves, 1 / np.sqrt(np.where(moves, variance, 1)), 0)
        correlation = covariance * inverse[:, :, None] * inverse[:, None, :]
        self.gram = np.ascontiguousarray(correlation[:, :-1, :-1])
        self.pull = np.ascontiguousarray(correlation[:, :-1, -1])
        #: Times these, coefficients are in units of the returns.
        self.scale = inverse[:, :-1] * np.sqrt(np.maximum(variance[:, -1:], 0))


def cumulative_sums(stocks: np.ndarray, benchmark: np.ndarray) -> np.ndarray:
    """Before each day, the sums of the products of [stocks, benchmark, 1] so far."""
    rows = np.column_stack([stocks, benchmark, np.ones(len(benchmark))])
    sums = np.zeros((len(rows) + 1, rows.shape[1], rows.shape[1]))
    np.cumsum(rows[:, :, None] * rows[:, None, :], axis=0, out=sums[1:])
    return sums


#: Of the one sweep that a worker takes part in.
_kept: list = []


def of_window(stocks: np.ndarray, benchmark: np.ndarray, in_window: int) -> Moments:
    if not _kept:
        _kept.append(cumulative_sums(stocks, benchmark))
    return Moments(_kept[0], len(benchmark), in_window)


def by_window(points) -> dict[int, list[float]]:
    """The alphas of each window length, the largest first: from there to the next is the shortest way."""
    alphas: dict[int, list[float]] = {}
    for in_window, alpha in points:
        alphas.setdefault(in_window, []).append(alpha)
    return {in_window: sorted(it, reverse=True) for in_window, it in alphas.items()}
