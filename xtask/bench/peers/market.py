"""What every program needs of the model in examples/etf-replicator/README.md: returns, windows, tracking error."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

REFIT_EVERY = 5
DAYS_PER_YEAR = 252
#: A column whose variance is this small a part of its mean square is constant, as in tasks/lasso/src/fit.rs.
VARIANCE_RELATIVE_MIN = 1e-12


def returns(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Daily returns of the stocks (days × stocks) and of the index."""
    return simple_returns(Path(folder) / "sp500_prices.parquet"), simple_returns(Path(folder) / "sp500_index.parquet")[:, 0]


def simple_returns(path: Path) -> np.ndarray:
    # Sorted by day and identifier, without gaps: the rows are the matrix.
    table = pq.read_table(path, columns=["unique_identifier", "close"])
    identifiers = len(table["unique_identifier"].unique())
    close = table["close"].to_numpy().reshape(-1, identifiers)
    return close[1:] / close[:-1] - 1


def refits(days: int, in_window: int) -> np.ndarray:
    """The first day that each fit holds for; it has seen the `in_window` days before."""
    return np.arange(in_window, days, REFIT_EVERY)


def tracking_error(stocks: np.ndarray, benchmark: np.ndarray, in_window: int, coefficients: np.ndarray) -> float:
    """Of the replica that holds one row of coefficients from each refit to the next."""
    days = np.arange(len(benchmark) - in_window) // REFIT_EVERY
    replicated = np.einsum("ij,ij->i", stocks[in_window:], coefficients[days])
    return float((replicated - benchmark[in_window:]).std(ddof=1) * DAYS_PER_YEAR**0.5)
