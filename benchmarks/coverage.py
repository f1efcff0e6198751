"""How often 95% intervals clustered by item cover the truth, and whether p-values are uniform.

    python benchmarks/coverage.py

A thousand simulated studies for each number of items and share of sycophantic answers. Answers
about one item are alike, so are those of one prompt template, and items have 2 to 12 answers. The
p-value of a Kolmogorov-Smirnov test compares p-values under the null, of one read-out and of the
largest of ten, with the uniform distribution. Writes benchmarks/coverage.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scipy.stats import kstest

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from simulated_studies import INFLUENCES, INTERVALS, coverage, null_p_values

N_STUDIES = 1000
SETTINGS = [(n_items, prevalence) for n_items in (20, 50, 100) for prevalence in (0.2, 0.5)]


def main() -> None:
    rows: dict[str, list[float]] = {}
    for n_items, prevalence in SETTINGS:
        shares = coverage([*INTERVALS], N_STUDIES, n_items, prevalence)
        for name, share in shares.items():
            rows.setdefault(name, []).append(share)
        for name in INFLUENCES:
            for k in (1, 10):
                p = null_p_values(name, N_STUDIES, n_items, prevalence, k)
                uniform, label = kstest(p, "uniform").pvalue, f"{name}, {k} read-outs"
                rows.setdefault(f"uniform p: {label}", []).append(float(uniform))
                rows.setdefault(f"p <= 0.05: {label}", []).append(float((p <= 0.05).mean()))
    print(f"{'items, share':>46}", *(f"{n:>5} {share}" for n, share in SETTINGS))
    for name, values in rows.items():
        print(f"{name:>46}", *(f"{value:9.3f}" for value in values))
    settings = [f"{n_items} items, {prevalence}" for n_items, prevalence in SETTINGS]
    table = {
        name: dict(zip(settings, (round(value, 4) for value in values), strict=True))
        for name, values in rows.items()
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
