"""Greedy texts of CTranslate2, in an environment of its own.

    python benchmarks/generation_peer.py FOLDER float32 64 64 ends OUT

FOLDER holds a model and questions.json (token ids); its conversion is kept beside it. OUT gets the
token ids of each text; printed is JSON with the seconds. CTranslate2 batches by itself
(`max_batch_size`); all prompts are given at once, as its documentation recommends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import ctranslate2
from ctranslate2.converters import TransformersConverter

WARM = 4


def main() -> None:
    folder, kind, count, n_tokens, ends, out = sys.argv[1:]
    converted = Path(folder).with_name(f"{Path(folder).name}_ct2")
    if not converted.exists():
        TransformersConverter(folder).convert(str(converted), quantization="float32")
    generator = ctranslate2.Generator(
        str(converted), compute_type=kind, intra_threads=os.cpu_count() or 1
    )
    vocabulary = json.loads((converted / "vocabulary.json").read_text())
    number = {token: n for n, token in enumerate(vocabulary)}
    asked = json.loads((Path(folder) / "questions.json").read_text())["prompts"][: int(count)]
    prompts = [[vocabulary[n] for n in ids] for ids in asked]

    def run(some: list[list[str]]) -> list[list[int]]:
        results = generator.generate_batch(
            some,
            max_length=int(n_tokens),
            min_length=0 if ends == "ends" else int(n_tokens),
            max_batch_size=32,
            sampling_topk=1,
            include_prompt_in_result=False,
        )
        return [[number[token] for token in result.sequences[0]] for result in results]

    run(prompts[:WARM])
    start = time.perf_counter()
    texts = run(prompts)
    seconds = time.perf_counter() - start
    Path(out).write_text(json.dumps(texts))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
