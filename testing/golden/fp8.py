"""Makes tiny FP8 checkpoints of every kind that is read, with their logits in float64.

  python fp8.py

writes testdata/fp8/NAME: a Hugging Face directory as released checkpoints of that kind look, golden.json
and logits.f32.gz (every position), computed from the weights as they are saved: E4M3 times its scale. The
forward pass below is first held to what transformers computed for two models of testdata/architectures.
It also writes e4m3.f32.gz to engine/weights/testdata: what ml_dtypes makes of all 256 bytes.
Needs: ml_dtypes, numpy.
"""
import gzip
import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np

from architectures import TOKENS, load_weights, tokenizer, write_json

here = Path(__file__).parent
root = here / "testdata" / "fp8"
E4M3, BF16 = ml_dtypes.float8_e4m3fn, ml_dtypes.bfloat16
POSITIONS = 24
BLOCK = 128
NAMES = {np.dtype(E4M3): "F8_E4M3", np.dtype(BF16): "BF16", np.dtype("f4"): "F32", np.dtype("f2"): "F16"}

# Two blocks of 128 in most directions, the second one short.
SHAPE = dict(vocab_size=len(TOKENS), hidden_size=136, intermediate_size=144, num_hidden_layers=1, num_attention_heads=5,
             num_key_value_heads=1, head_dim=32, max_position_embeddings=256, bos_token_id=0, eos_token_id=1,
             rms_norm_eps=1e-6, rope_theta=10000.0, hidden_act="silu", attention_bias=False, torch_dtype="bfloat16")


def floats(strategy, **more):
    return dict(dict(actorder=None, block_structure=None, dynamic=False, group_size=None, num_bits=8, observer="minmax",
                     observer_kwargs={}, strategy=strategy, symmetric=True, type="float"), **more)


def compressed(weights, activations, ignore):
    group = dict(input_activations=activations, output_activations=None, targets=["Linear"], weights=weights)
    return dict(config_groups=dict(group_0=group), format="float-quantized", global_compression_ratio=1.5, ignore=ignore,
                kv_cache_scheme=None, quant_method="compressed-tensors", quantization_status="compressed", version="0.9.1")


# name: (architecture, tied, strategy, type of scales, their suffix, static, quantization_config)
MODELS = {
    "block": ("Qwen3ForCausalLM", True, "block", BF16, "weight_scale_inv", False,
              dict(activation_scheme="dynamic", fmt="e4m3", quant_method="fp8", weight_block_size=[BLOCK, BLOCK])),
    "channel": ("LlamaForCausalLM", False, "channel", BF16, "weight_scale", False,
                compressed(floats("channel"), floats("token", dynamic=True, observer=None), ["lm_head"])),
    "channel_half": ("Qwen3ForCausalLM", True, "channel", "f2", "weight_scale", False,
                     compressed(floats("channel"), floats("token", dynamic=True, observer=None), ["re:.*down_proj", "lm_head"])),
    "tensor": ("LlamaForCausalLM", True, "tensor", "f4", "weight_scale", True,
               dict(quant_method="fp8", activation_scheme="static", ignored_layers=["lm_head"])),
    "compressed_block": ("LlamaForCausalLM", False, "block", "f4", "weight_scale", False,
                         compressed(floats("block", block_structure=[BLOCK, BLOCK]), floats("group", dynamic=True, group_size=BLOCK), [])),
}
# What each leaves as it is.
PLAIN = {"channel": ["lm_head"], "channel_half": ["down_proj"], "block": ["o_proj"]}


def names(arch, tied):
    """Every matrix and norm: (name, rows, cols); a norm has one row."""
    s = SHAPE
    hidden, ffn, q, kv = s["hidden_size"], s["intermediate_size"], s["num_attention_heads"] * s["head_dim"], s["num_key_value_heads"] * s["head_dim"]
    out = [("model.embed_tokens", s["vocab_size"], hidden)]
    for layer in range(s["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        out += [(at + "input_layernorm", 1, hidden), (at + "self_attn.q_proj", q, hidden), (at + "self_attn.k_proj", kv, hidden),
                (at + "self_attn.v_proj", kv, hidden), (at + "self_attn.o_proj", hidden, q)]
        if arch.startswith("Qwen3"):
            out += [(at + "self_attn.q_norm", 1, s["head_dim"]), (at + "self_attn.k_norm", 1, s["head_dim"])]
        out += [(at + "post_attention_layernorm", 1, hidden), (at + "mlp.gate_proj", ffn, hidden), (at + "mlp.up_proj", ffn, hidden),
                (at + "mlp.down_proj", hidden, ffn)]
    out.append(("model.norm", 1, hidden))
    return out if tied else out + [("lm_head", s["vocab_size"], hidden)]


def spread(scale, rows, cols):
    """A scale of any of the three shapes over the whole matrix."""
    if scale.shape == (rows, 1) or scale.size == 1:
        return np.broadcast_to(scale.reshape(-1, 1), (rows, cols))
    return np.repeat(np.repeat(scale, BLOCK, 0), BLOCK, 1)[:rows, :cols]


def quantise(x, strategy, kind):
    """E4M3 and its scales: the largest of those that share one becomes 448."""
    rows, cols = x.shape
    if strategy == "block":
        high, wide = -(-rows // BLOCK), -(-cols // BLOCK)
        most = np.array([[np.abs(x[r * BLOCK:(r + 1) * BLOCK, c * BLOCK:(c + 1) * BLOCK]).max() for c in range(wide)] for r in range(high)])
    else:
        most = np.abs(x).max(1, keepdims=True) if strategy == "channel" else np.abs(x).max().reshape(1, 1)
    scale = (most / 448).astype(kind)
    q = np.clip(x / spread(scale.astype("f8"), rows, cols), -448, 448).astype(E4M3)
    return q, scale.reshape(()) if strategy == "tensor" else scale


def make(name, seed):
    arch, tied, strategy, kind, suffix, static, config = MODELS[name]
    random = np.random.default_rng(seed)
    tensors, exact = {}, {}
    for module, rows, cols in names(arch, tied):
        x = random.standard_normal((rows, cols))
        x = 1 + x / 4 if rows == 1 else x * random.uniform(0.5, 2, (rows, 1)) * 1.5 / cols**0.5
        plain = rows == 1 or module == "model.embed_tokens" or any(module.endswith(p) for p in PLAIN.get(name, []))
        if plain:
            saved = x.astype(BF16)
            tensors[module + ".weight"] = saved[0] if rows == 1 else saved
            exact[module + ".weight"] = tensors[module + ".weight"].astype("f8")
            continue
        q, scale = quantise(x, strategy, kind)
        tensors[module + ".weight"], tensors[f"{module}.{suffix}"] = q, scale
        if static:
            tensors[module + ".input_scale"] = np.array(random.uniform(0.01, 0.1), "f4")
        exact[module + ".weight"] = q.astype("f8") * spread(scale.astype("f8"), rows, cols)
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    config = dict(SHAPE, architectures=[arch], tie_word_embeddings=tied, quantization_config=config)
    write_json(out / "config.json", config)
    write_json(out / "tokenizer.json", tokenizer())
    save(out / "model.safetensors", tensors)
    ids = random.integers(2, len(TOKENS), POSITIONS)
    logits = forward(config, exact, ids)
    pack(out / "logits.f32.gz", logits)
    write_json(out / "golden.json", dict(dtype="e4m3", ids=ids.tolist()))
    print(name, "logits of deviation", logits.std(), sum(t.nbytes for t in tensors.values()), "bytes", flush=True)


def save(path, tensors):
    """A safetensors file: the header's length, the header, the data; wide types first, so that all are aligned."""
    header, data = {}, b""
    for name, t in sorted(tensors.items(), key=lambda i: (-i[1].dtype.itemsize, i[0])):
        raw = t.tobytes()
        header[name] = dict(dtype=NAMES[t.dtype], shape=list(t.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def pack(path, values):
    with gzip.GzipFile(path, "wb", mtime=0) as f:
        f.write(np.asarray(values).astype("<f4").tobytes())


def rms(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotate(x, theta):
    """Halves of each head by the angle of their position; x is positions, heads, dim."""
    half = x.shape[-1] // 2
    angle = np.arange(len(x))[:, None, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)


def forward(c, w, ids):
    """Logits of every position of a Llama or Qwen3 in float64."""
    heads, kv, eps = c["num_attention_heads"], c["num_key_value_heads"], c["rms_norm_eps"]
    theta = c.get("rope_theta") or c["rope_parameters"]["rope_theta"]
    x, causal = w["model.embed_tokens.weight"][ids], np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        y = rms(x, w[at + "input_layernorm.weight"], eps)
        q, k, v = ((y @ w[f"{at}self_attn.{p}_proj.weight"].T).reshape(len(ids), n, -1) for p, n in (("q", heads), ("k", kv), ("v", kv)))
        if at + "self_attn.q_norm.weight" in w:
            q, k = rms(q, w[at + "self_attn.q_norm.weight"], eps), rms(k, w[at + "self_attn.k_norm.weight"], eps)
        q, k = rotate(q, theta), rotate(k, theta)
        k, v = (np.repeat(t, heads // kv, 1) for t in (k, v))
        score = np.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5 + causal
        share = np.exp(score - score.max(-1, keepdims=True))
        mixed = np.einsum("hij,jhd->ihd", share / share.sum(-1, keepdims=True), v).reshape(len(ids), -1)
        x = x + mixed @ w[at + "self_attn.o_proj.weight"].T
        y = rms(x, w[at + "post_attention_layernorm.weight"], eps)
        gate = y @ w[at + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (y @ w[at + "mlp.up_proj.weight"].T)) @ w[at + "mlp.down_proj.weight"].T
    head = "model.embed_tokens.weight" if c.get("tie_word_embeddings") else "lm_head.weight"
    return rms(x, w["model.norm.weight"], eps) @ w[head].T


def check():
    """Holds forward to transformers."""
    for name in ("llama2", "qwen3"):
        at = here / "testdata" / "architectures" / name
        ids = json.loads((at / "golden.json").read_text())["ids"]
        want = np.frombuffer(gzip.decompress((at / "logits.f32.gz").read_bytes()), "<f4").reshape(len(ids), -1)
        weights = {k: v.astype("f8") for k, v in load_weights(at).items()}
        far = np.abs(forward(json.loads((at / "config.json").read_text()), weights, ids) - want).max()
        print(name, "is", far, "from transformers", flush=True)
        assert far < 1e-4


def main():
    check()
    for seed, name in enumerate(MODELS):
        make(name, seed)
    pack(here / "../../engine/weights/testdata/e4m3.f32.gz", np.arange(256, dtype=np.uint8).view(E4M3).astype("f4"))


if __name__ == "__main__":
    main()
