"""Makes tiny random models of every architecture, with the logits transformers computes.

  python architectures.py models   writes testdata/architectures/NAME: a Hugging Face directory, golden.json
                                   (ids, dtype, transformers' version) and logits.f32.gz (every position);
                                   and testdata/rope.json: frequencies of real models' rope settings
  python architectures.py gguf     converts those directories to NAME/NAME.gguf in the same element type

Weights come from a fixed seed and are large enough for every option to show in the logits. A model is computed
in float32 from the weights as saved.
Needs: numpy, torch, transformers (models); gguf, numpy (gguf).
"""
import gzip
import json
import sys
from pathlib import Path

import numpy as np

here = Path(__file__).parent / "testdata"
root = here / "architectures"
POSITIONS = 32

# Byte-level vocabulary: two control tokens, the first bytes, and two merges.
ALPHABET = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else None for b in range(256)]
for code, byte in enumerate([b for b in range(256) if ALPHABET[b] is None]):
    ALPHABET[byte] = chr(256 + code)
MERGES = ["\u0120 t", "h e"]
TOKENS = ["<s>", "</s>"] + ALPHABET[:124] + [m.replace(" ", "") for m in MERGES]

SHAPE = dict(
    vocab_size=len(TOKENS), hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=1,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=256)

# name: (model type, element type, options, how the configuration is written)
MODELS = {
    "llama2": ("llama", "float32", dict(num_key_value_heads=4, rms_norm_eps=1e-5), "sharded"),
    "llama3": ("llama", "bfloat16", dict(rope_parameters=LLAMA3, head_dim=16, attention_bias=True, mlp_bias=True,
                                         tie_word_embeddings=True, rms_norm_eps=1e-5), ""),
    "llama_linear": ("llama", "bfloat16", dict(rope_parameters=dict(rope_type="linear", rope_theta=1000.0, factor=4.0)), "old"),
    "qwen2": ("qwen2", "float16", dict(use_sliding_window=True, sliding_window=8, max_window_layers=1, tie_word_embeddings=True), ""),
    "qwen2_yarn": ("qwen2", "bfloat16", dict(num_attention_heads=2, num_key_value_heads=1, rope_parameters=YARN, tie_word_embeddings=True), "old"),
    "qwen3": ("qwen3", "bfloat16", dict(head_dim=16, tie_word_embeddings=True), ""),
    "qwen3_yarn": ("qwen3", "bfloat16", dict(
        head_dim=16, attention_bias=True, use_sliding_window=True, sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters=dict(YARN, attention_factor=1.3, beta_fast=16.0, beta_slow=2.0, truncate=False)), "sharded"),
    "mistral": ("mistral", "bfloat16", dict(sliding_window=8, rms_norm_eps=1e-5), ""),
    "mistral_wide": ("mistral", "bfloat16", dict(sliding_window=None, head_dim=16, rms_norm_eps=1e-2,
                                                 tie_word_embeddings=True), "old"),
}

# Settings of real models (and of yarn's options), for their frequencies alone.
ROPES = {
    "llama-2": dict(head_dim=128, rope_theta=10000.0),
    "linear": dict(head_dim=128, rope_theta=100000.0, rope_type="linear", factor=4.0),
    "llama-3.1": dict(head_dim=128, rope_theta=500000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                      high_freq_factor=4.0, original_max_position_embeddings=8192),
    "llama-3.2": dict(head_dim=64, rope_theta=500000.0, rope_type="llama3", factor=32.0, low_freq_factor=1.0,
                      high_freq_factor=4.0, original_max_position_embeddings=8192),
    "qwen-yarn": dict(head_dim=128, rope_theta=1000000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=32768),
    "yarn-attention": dict(head_dim=64, rope_theta=10000.0, rope_type="yarn", factor=8.0, attention_factor=0.8,
                           original_max_position_embeddings=4096),
    "yarn-mscale": dict(head_dim=64, rope_theta=10000.0, rope_type="yarn", factor=40.0, mscale=0.707, mscale_all_dim=1.0,
                        original_max_position_embeddings=4096),
    "yarn-one-mscale": dict(head_dim=64, rope_theta=10000.0, rope_type="yarn", factor=40.0, mscale=0.707,
                            original_max_position_embeddings=4096),
    "yarn-betas": dict(head_dim=64, rope_theta=10000.0, rope_type="yarn", factor=2.0, beta_fast=20.0, beta_slow=3.0,
                       original_max_position_embeddings=2048),
    "yarn-not-truncated": dict(head_dim=64, rope_theta=150000.0, rope_type="yarn", factor=32.0, truncate=False,
                               original_max_position_embeddings=4096),
    "yarn-narrow": dict(head_dim=64, rope_theta=10000.0, rope_type="yarn", factor=2.0, original_max_position_embeddings=4),
}


def tokenizer():
    added = [dict(id=i, content=TOKENS[i], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i in range(2)]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab={t: i for i, t in enumerate(TOKENS)}, merges=MERGES)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=level,
                post_processor=None, decoder=level, model=model)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def fill(model, seed):
    """Random weights: norms about one, biases and matrices large enough to matter."""
    import torch

    random = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        x = torch.randn(p.shape, generator=random)
        if name.endswith("norm.weight"):
            x = 1 + x / 4
        elif name.endswith(".bias"):
            x = x / 2
        else:
            x = x * 1.5 / p.shape[-1] ** 0.5
        p.data.copy_(x)


def old_style(path):
    """The configuration as releases of transformers before 5 wrote it."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["torch_dtype"] = config.pop("dtype")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = dict(rope, type=kind) if kind != "default" else None
    write_json(path, config)


def make(name, seed):
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, dtype, options, style = MODELS[name]
    out = root / name
    out.mkdir(parents=True, exist_ok=True)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **dict(SHAPE, **options)))
    fill(model, seed)
    model.to(getattr(torch, dtype)).save_pretrained(out, max_shard_size="40KB" if style == "sharded" else "5GB")
    (out / "generation_config.json").unlink(missing_ok=True)
    if style == "old":
        old_style(out / "config.json")
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(2, len(TOKENS), (1, POSITIONS), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].numpy()
    with gzip.GzipFile(out / "logits.f32.gz", "wb", mtime=0) as f:
        f.write(logits.astype("<f4").tobytes())
    write_json(out / "golden.json", dict(transformers=transformers.__version__, dtype=dtype, ids=ids[0].tolist()))
    write_json(out / "tokenizer.json", tokenizer())
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)
    print(name, "logits of deviation", logits.std(), sorted(p.name for p in out.iterdir()), flush=True)


def ropes():
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    out = {}
    for name, rope in ROPES.items():
        rope = dict(rope)
        shape = dict(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, head_dim=rope.pop("head_dim"),
                     max_position_embeddings=131072)
        parameters = dict(dict(rope_type="default"), **rope)
        embedding = LlamaRotaryEmbedding(LlamaConfig(**shape, rope_parameters=dict(parameters)))
        out[name] = dict(config=dict(shape, rope_parameters=parameters), inv_freq=embedding.inv_freq.tolist(),
                         attention_factor=float(embedding.attention_scaling))
    write_json(here / "rope.json", out)


def load_weights(directory):
    """Every tensor of a directory as float32; a safetensors file is a JSON header and raw data."""
    tensors = {}
    for path in sorted(directory.glob("*.safetensors")):
        raw = path.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        for name, t in json.loads(raw[8 : 8 + size]).items():
            if name != "__metadata__":
                begin, end = t["data_offsets"]
                tensors[name] = decode(raw[8 + size + begin : 8 + size + end], t["dtype"]).reshape(t["shape"])
    return tensors


def decode(raw, dtype):
    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, {"F16": "<f2", "F32": "<f4"}[dtype]).astype(np.float32)


def permute(x, heads):
    """Hugging Face's halves to the adjacent pairs of GGUF's llama; weights and biases."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def llama3_factors(rope, dim):
    """What llama.cpp's converter writes as rope_freqs: divisors of the frequencies."""
    wavelength = 2 * np.pi * rope["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    share = rope["original_max_position_embeddings"] / wavelength
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    smooth = np.clip((share - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def write_rope(w, rope):
    import gguf

    w.add_rope_freq_base(rope.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(kind))
        w.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    return kind


def write_config(w, c, arch):
    heads = c["num_attention_heads"]
    dim = c.get("head_dim") or c["hidden_size"] // heads
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    if arch != "qwen2":
        w.add_key_length(dim)
        w.add_value_length(dim)
    if arch == "llama":
        w.add_vocab_size(c["vocab_size"])
        w.add_rope_dimension_count(dim)
        if c.get("sliding_window"):
            w.add_sliding_window(c["sliding_window"])
    return heads, dim


def write_tokens(w):
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(TOKENS)
    w.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    w.add_token_merges(MERGES)
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)


def convert(name):
    import gguf

    directory, arch = root / name, {"mistral": "llama"}.get(MODELS[name][0], MODELS[name][0])
    c = json.loads((directory / "config.json").read_text())
    w = gguf.GGUFWriter(directory / f"{name}.gguf", arch)
    w.add_name(name)
    heads, dim = write_config(w, c, arch)
    rope = c.get("rope_parameters") or dict(c["rope_scaling"] or {}, rope_theta=c["rope_theta"])
    kind = write_rope(w, rope)
    write_tokens(w)
    names = gguf.get_tensor_name_map({v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch], c["num_hidden_layers"])
    storage = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[MODELS[name][1]]
    if kind == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(rope, dim))
    for tensor, x in load_weights(directory).items():
        of = {"q_proj": heads, "k_proj": c["num_key_value_heads"]}.get(tensor.split(".")[-2])
        if of and arch == "llama":
            x = permute(x, of)
        store = gguf.GGMLQuantizationType["F32" if x.ndim == 1 else storage]
        raw = gguf.quants.quantize(np.ascontiguousarray(x), store)
        w.add_tensor(names.get_name(tensor, try_suffixes=(".weight", ".bias")), raw, raw_dtype=store)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    if sys.argv[1] == "models":
        for seed, name in enumerate(MODELS):
            make(name, seed)
        ropes()
    else:
        # GGUF has no place for windows in some layers only, nor for every option of yarn.
        for name in MODELS:
            if name not in ("qwen2", "qwen3_yarn"):
                convert(name)


if __name__ == "__main__":
    main()
