"""The sweep as somebody writes it who also knows what a call of numpy costs: all refits of a window length at once.

Cumulated moments; coordinate descent that moves one coefficient of all fits in a call; between two sweeps of it a jump to
where the coefficients that are not zero would rest, which is one stacked solve (as tasks/lasso/src/fit.rs does for one fit).
Each alpha starts from the larger one before it. A fit that is done leaves.
"""

import numpy as np
from joblib import delayed

import market
import moments

#: Largest change of a z-scored coefficient in the last sweep.
CHANGE_MAX = 1e-8
SWEEPS_MAX = 1000


def warm_up() -> None:
    np.linalg.solve(np.eye(4)[None], np.ones((1, 4, 1)))


def sweep(stocks, benchmark, points, parallel):
    windows = moments.by_window(points)
    found = parallel(delayed(window)(stocks, benchmark, *it) for it in windows.items())
    return {(in_window, alpha): error for rows in found for in_window, alpha, error in rows}


def window(stocks: np.ndarray, benchmark: np.ndarray, in_window: int, alphas: list[float]):
    of_window = moments.of_window(stocks, benchmark, in_window)
    beta = np.zeros_like(of_window.pull)
    rows = []
    for alpha in alphas:
        beta = fits(of_window.gram, of_window.pull, beta, alpha)
        coefficients = beta * of_window.scale
        rows.append((in_window, alpha, market.tracking_error(stocks, benchmark, in_window, coefficients)))
    return rows


def fits(gram: np.ndarray, pull: np.ndarray, start: np.ndarray, alpha: float) -> np.ndarray:
    done = start.copy()
    open_fits, beta = np.arange(len(start)), start.copy()
    gradient = pull - np.einsum("nij,nj->ni", gram, beta)
    for _ in range(SWEEPS_MAX):
        moves = descend(gram, gradient, beta, alpha) > CHANGE_MAX
        done[open_fits[~moves]] = beta[~moves]
        if not moves.any():
            return done
        open_fits, beta, gradient, gram = open_fits[moves], beta[moves], gradient[moves], gram[moves]
        jump(gram, gradient, beta, alpha)
    raise ArithmeticError(f"{len(open_fits)} fits have not come to rest")


def descend(gram: np.ndarray, gradient: np.ndarray, beta: np.ndarray, alpha: float) -> np.ndarray:
    """One sweep over the coefficients of all fits; gives the largest change of each."""
    largest = np.zeros(len(beta))
    for j in range(beta.shape[1]):
        pulled = gradient[:, j] + beta[:, j]
        new = np.sign(pulled) * np.maximum(np.abs(pulled) - alpha, 0)
        change = new - beta[:, j]
        beta[:, j] = new
        gradient -= gram[:, j, :] * change[:, None]
        np.maximum(largest, np.abs(change), out=largest)
    return largest


def jump(gram: np.ndarray, gradient: np.ndarray, beta: np.ndarray, alpha: float) -> None:
    """Moves the coefficients that are not zero to where they rest, or until the first of a fit is zero."""
    used = beta != 0
    system = np.where(used[:, :, None] & used[:, None, :], gram, np.eye(beta.shape[1]))
    towards = np.where(used, gradient - alpha * np.sign(beta), 0)
    steps = np.linalg.solve(system, towards[:, :, None])[:, :, 0]
    turns = used & (beta * (beta + steps) < 0)
    reach = np.where(turns, -beta / np.where(turns, steps, 1), 1)
    fit, first = np.arange(len(beta)), reach.argmin(axis=1)
    length = reach[fit, first]
    moved = beta + length[:, None] * steps
    moved[fit[length < 1], first[length < 1]] = 0
    gradient -= np.einsum("nij,nj->ni", gram, moved - beta)
    beta[:] = moved
