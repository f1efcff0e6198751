"""Labels the models' answers as sycophantic or not, by every source of labels.

    python stages/labels.py [one_cause [held_out]]

For one model or each of `models` in params.yaml, and one prompt set or each of `prompt_sets`: reads
data/prompts/SET.parquet, data/activations/MODEL/SET/responses.parquet, grades in data/grades and
`labels` of params.yaml; writes data/labels/MODEL/SET.parquet with the answers on which sources
disagree beside it, and in reports/label_tables/MODEL the rates of sycophancy, what else explains
the labels, and how far sources and graders agree.
"""

from __future__ import annotations

from sycophancy_steering.config.labels import LabelSettings
from sycophancy_steering.config.reading import read_name, read_names, read_section
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.labels.labelling import label_responses


@command(
    __doc__,
    model="an entry of model in params.yaml; without it, all of models",
    prompt_set="an entry of prompt_set in params.yaml; without it, all of prompt_sets",
)
def main(model: str = "", prompt_set: str = "") -> None:
    source = read_section(LabelSettings, "labels").source
    evaluation_set = read_name("evaluation_set")
    for name in [model] if model else read_names("models"):
        for answered in [prompt_set] if prompt_set else read_names("prompt_sets"):
            required = answered == evaluation_set
            summary = label_responses(name, answered, source, required=required)
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
