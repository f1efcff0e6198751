"""Says how sycophantic a model was that was run elsewhere, and whether vectors predict it.

    python stages/transcripts.py transcripts.jsonl
    python stages/transcripts.py transcripts.jsonl --model smollm2 \\
        --vectors vectors/extracted/smollm2/suggestions/mean_difference.safetensors

Reads transcripts, one a line: turns, of which the last is the model's answer, and a label. Prints
the rate of sycophantic answers (or the mean grade) by family, with intervals clustered by item.
With a model of params.yaml and vectors of it, the recorded answers are forced after the recorded
chats, nothing is generated, and the projections are tested against the recorded labels at every
layer, or at one that was chosen elsewhere (`--layer`). Writes nothing, or the files that --scores
and --json name.
"""

from __future__ import annotations

from pathlib import Path

from sycophancy_steering.external.options import whole_number, write_numbers, write_scores
from sycophancy_steering.external.transcript_tables import (
    behaviour_numbers,
    behaviour_text,
    readout_numbers,
    readout_text,
)
from sycophancy_steering.external.transcripts import behaviour, read_transcripts
from sycophancy_steering.foundation.command_line import command
from sycophancy_steering.foundation.errors import InputError


@command(
    __doc__,
    file="transcripts, .jsonl",
    model="an entry of model in params.yaml, to read the transcripts through",
    vectors="vector files of that model, one or more",
    layer="the only layer to read; all if left out",
    scores="a .csv file to write every projection to, for stages/score.py",
    seed="of the sign flips; 0 if left out",
    json="a file to write the numbers to",
)
def main(
    file: str,
    *,
    model: str = "",
    vectors: tuple[str, ...] = (),
    layer: str = "",
    scores: str = "",
    seed: str = "0",
    json: str = "",
) -> None:
    if bool(model) != bool(vectors) or ((layer or scores) and not model):
        raise InputError("expected --model and --vectors together, --layer and --scores with them")
    transcripts = read_transcripts(Path(file))
    families = behaviour(transcripts)
    print(behaviour_text(families, transcripts.are_binary))
    numbers = behaviour_numbers(families, transcripts.are_binary)
    if model:
        # Only now torch is needed.
        from sycophancy_steering.external.transcript_run import read_through_model

        chosen = whole_number(layer, "--layer") if layer else None
        run = read_through_model(transcripts, model, [*map(Path, vectors)], chosen)
        readouts = run.readouts(whole_number(seed, "--seed"))
        print("\n" + readout_text(readouts, transcripts.are_binary))
        numbers["readouts"] = readout_numbers(readouts)
        write_scores(scores, run.score_table())
    write_numbers(json, numbers)


if __name__ == "__main__":
    main()
