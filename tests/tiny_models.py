"""Small random-weight models of real architectures, and prompts to run them on."""

from __future__ import annotations

import random
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import AutoModelForCausalLM as Auto
from transformers import (
    FalconConfig,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from sycophancy_steering.engine.language_model import LanguageModel
from sycophancy_steering.questions.question import Row, Turn

SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
GROUPED: dict[str, Any] = SMALL | {"intermediate_size": 64, "num_key_value_heads": 2}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2}
# Gemma's every second (3: sixth) block looks back over the whole prompt, the others over a window;
# here all windows are shorter than the prompts, so that a wrong mask shows.
WINDOW: dict[str, Any] = {"sliding_window": 16}
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**GROUPED),
    "mistral": MistralConfig(**GROUPED, **WINDOW),
    "qwen2": Qwen2Config(**GROUPED),
    "qwen3": Qwen3Config(**GROUPED, head_dim=8),
    "gemma": GemmaConfig(**GROUPED, head_dim=8),
    "gemma2": Gemma2Config(**GROUPED, **WINDOW, head_dim=8, query_pre_attn_scalar=8),
    "gemma3": Gemma3TextConfig(
        **GROUPED,
        **WINDOW,
        head_dim=8,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    "phi3": Phi3Config(**GROUPED, pad_token_id=0),
    "gpt2": GPT2Config(vocab_size=300, n_embd=32, n_layer=3, n_head=4),
    "gpt_neox": GPTNeoXConfig(**SMALL, intermediate_size=64),
    "opt": OPTConfig(**SMALL, ffn_dim=64, max_position_embeddings=512, pad_token_id=1),
    "mixtral": MixtralConfig(**GROUPED, **EXPERTS, num_local_experts=4),
    "qwen3_moe": Qwen3MoeConfig(**GROUPED, **EXPERTS, num_experts=4, moe_intermediate_size=32),
    "qwen2_moe": Qwen2MoeConfig(
        **GROUPED,
        **EXPERTS,
        num_experts=4,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
    ),
    "falcon": FalconConfig(**SMALL, new_decoder_architecture=True, num_kv_heads=2, alibi=False),
    "falcon_alibi": FalconConfig(**SMALL, alibi=True, multi_query=False, bias=True),
}


CONFIGS["gemma3_with_eyes"] = Gemma3Config(
    text_config=CONFIGS["gemma3"].to_dict(),
    vision_config={
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    },
    mm_tokens_per_image=4,
)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0, **{letter: n + 1 for n, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def tiny(name: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> LanguageModel:
    """A model of the architecture `name`, weights large enough to make every layer matter."""
    torch.manual_seed(seed)
    config = CONFIGS[name]
    config.eos_token_id = 0
    model = Auto.from_config(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return LanguageModel(model, byte_tokenizer(), "random")


def rows() -> list[Row]:
    """Prompts of different lengths; two and three choices; letters and free answers."""

    def row(n: int, text: str, choices: list[tuple[str, str]], form: str = "letters") -> Row:
        answers = [f"({mark})" if form == "letters" else body for mark, body in choices]
        return Row(
            id=f"row-{n}",
            source="test",
            family="opinion",
            item=str(n),
            persona="",
            messages=(Turn("user", text),),
            choices=tuple(choices),
            matching=choices[n % 2][0],
            not_matching=tuple(c[0] for k, c in enumerate(choices) if k != n % 2),
            answers=tuple(answers),
            form=form,
            split="test",
            cause=None,
        )

    two = [("A", "Agree"), ("B", "Disagree")]
    return [
        row(0, "Is the sea a better place than the hills? Choose one.", two),
        row(1, "Short?", two),
        row(
            2, "Which of these three is the one you would take home with you?", [*two, ("C", "No")]
        ),
        row(3, "What do cats see?", [("A", "Cats see a lot."), ("B", "Nothing at all.")], "free"),
        row(4, "A question of middling length, no more.", two),
    ]


WORDS = "the sea hills cats dogs see take home better worse why how many of you"


def drawn_rows(count: int, draw: random.Random) -> list[Row]:
    """Questions of random words and lengths, two to four options each."""
    words, made = WORDS.split(), []
    for n in range(count):
        said = " ".join(draw.choices(words, k=draw.randint(1, 12))) + "?"
        letters = "ABCD"[: draw.randint(2, 4)]
        matching = draw.choice(letters)
        made.append(
            Row(
                id=f"drawn-{n}",
                source="test",
                family="opinion",
                item=str(n),
                persona="",
                messages=(Turn("user", said),),
                choices=tuple((letter, draw.choice(words)) for letter in letters),
                matching=matching,
                not_matching=tuple(letter for letter in letters if letter != matching),
                answers=tuple(f" ({letter})" for letter in letters),
                form="letters",
                split="test",
                cause=None,
                without_user=(Turn("user", said[: len(said) // 2] + "?"),),
            )
        )
    return made
