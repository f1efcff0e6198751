"""Labels the models' answers as sycophantic or not, by every source of labels.

    python stages/labels.py [one_cause [held_out]]

For one model or each of `models` in params.yaml, and one prompt set or each of its suite: reads
data/prompts/SET.parquet, data/activations/MODEL/SET/responses.parquet and grades in data/grades;
writes data/labels/MODEL/SET.parquet with the answers on which sources
disagree beside it, and in reports/label_tables/MODEL the rates of sycophancy, what else explains
the labels, and how far sources and graders agree.
"""

from __future__ import annotations

from sycophancy_steering.config.suite import read_models, read_prompt_sets, read_suite
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.labels.labelling import label_responses


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of the suite",
)
def main(model: str = "", prompt_set: str = "") -> None:
    for name in [model] if model else read_models():
        suite = read_suite(name)
        for answered in [prompt_set] if prompt_set else read_prompt_sets(name):
            required = answered == suite.evaluation_set
            summary = label_responses(name, answered, suite.label_source, required=required)
            for row in summary.rates.iter_rows(named=True):
                share = row["sycophantic_share"]
                print(
                    f"{name} on {answered}: {row['family']}: {row['n']} answers, "
                    f"{row['n_unlabelled']} without a label, "
                    f"sycophantic {'unknown' if share is None else f'{share:.3f}'}"
                )
            print(f"{name} on {answered}: sources disagree on {summary.n_disagreements} answers")


if __name__ == "__main__":
    main()
