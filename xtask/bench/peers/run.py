"""Sweeps the ETF replicator with one of the programs beside this file, and says how long that took.

    python run.py PROGRAM DATA_FOLDER JOBS < points.json

`points.json` is a list of [in_window, lasso_alpha]; what is printed holds the tracking error of each. What a program
would do once in a long session is not counted: starting Python, its imports, its workers and their imports. Reading
the prices is.
"""

import importlib
import json
import sys
import time

from joblib import Parallel, delayed

import market


def main() -> None:
    program, folder, jobs = importlib.import_module(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    points = [(int(in_window), float(alpha)) for in_window, alpha in json.load(sys.stdin)]
    # Loky keeps its workers from one call to the next.
    with Parallel(n_jobs=jobs, batch_size=1, pre_dispatch="all") as parallel:
        parallel(delayed(program.warm_up)() for _ in range(4 * jobs))
        began = time.perf_counter()
        stocks, benchmark = market.returns(folder)
        by_point = program.sweep(stocks, benchmark, points, lambda calls: parallel(calls))
        seconds = time.perf_counter() - began
    json.dump({"seconds": seconds, "tracking_errors": [by_point[it] for it in points]}, sys.stdout)


if __name__ == "__main__":
    main()
