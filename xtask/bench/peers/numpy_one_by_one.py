"""The sweep as somebody writes it who knows numpy and the Lasso: cumulated moments, and each fit from the one before.

A fit keeps the stocks that the fit before used and solves for their coefficients; where a sign does not hold, a stock
leaves, and where a gradient is too steep, one enters (an active set). That is exact, and mostly one small system of
equations: coordinate descent in numpy would take ten times as long, and scikit-learn's own on the same moments half as
long again.
"""

import numpy as np
from joblib import delayed

import market
import moments

#: Of a gradient: rounding.
SLACK = 1e-12
#: What a stock enters with: enough to have a sign.
ENTERS = 1e-9
STEPS_MAX = 1000


def warm_up() -> None:
    np.linalg.solve(np.eye(4), np.arange(4.0))


def sweep(stocks, benchmark, points, parallel):
    windows = moments.by_window(points)
    found = parallel(delayed(window)(stocks, benchmark, *it) for it in windows.items())
    return {(in_window, alpha): error for rows in found for in_window, alpha, error in rows}


def window(stocks: np.ndarray, benchmark: np.ndarray, in_window: int, alphas: list[float]):
    of_window = moments.of_window(stocks, benchmark, in_window)
    rows = []
    for alpha in alphas:
        coefficients = fits(of_window.gram, of_window.pull, alpha) * of_window.scale
        rows.append((in_window, alpha, market.tracking_error(stocks, benchmark, in_window, coefficients)))
    return rows


def fits(grams: np.ndarray, pulls: np.ndarray, alpha: float) -> np.ndarray:
    found = np.empty_like(pulls)
    beta = np.zeros(pulls.shape[1])
    for number, (gram, pull) in enumerate(zip(grams, pulls)):
        for _ in range(STEPS_MAX):
            if step(gram, pull, beta, alpha):
                break
        else:
            raise ArithmeticError(f"fit {number} has not come to rest")
        found[number] = beta
    return found


def step(gram: np.ndarray, pull: np.ndarray, beta: np.ndarray, alpha: float) -> bool:
    """Moves β nearer to the minimum; tells whether it is there."""
    used = beta.nonzero()[0]
    gradient = pull
    if len(used):
        old = beta[used]
        signs = np.sign(old)
        new = np.linalg.solve(gram[used[:, None], used], pull[used] - alpha * signs)
        turned = new * signs < 0
        if turned.any():
            # As far as the first sign holds; that stock leaves.
            reach = np.where(turned, old / np.where(turned, old - new, 1), 2)
            first = reach.argmin()
            beta[used] = old + reach[first] * (new - old)
            beta[used[first]] = 0
            return False
        beta[used] = new
        gradient = pull - gram[:, used] @ new
        gradient[used] = 0
    steepest = np.abs(gradient).argmax()
    if abs(gradient[steepest]) <= alpha + SLACK:
        return True
    beta[steepest] = np.copysign(ENTERS, gradient[steepest])
    return False
