"""Writes quants.gguf, quants.json and quants.f32.gz beside this script.

  python quants.py

quants.gguf    a random Llama of one layer and the tiny model's vocabulary; each matrix is
               of another block type, quantised by llama.cpp
quants.json    the prompt, and the SHA-256 of each tensor as the gguf package decodes it
               (float32, little-endian)
quants.f32.gz  logits of every position, computed by numpy in float64 from those tensors
Says how far llama.cpp itself is. Needs: gguf, numpy, llama-cpp-python.
"""
import ctypes
import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as T

here = Path(__file__).parent
tiny = gguf.GGUFReader(here / "../../../testing/tiny/tiny.gguf")
rng = np.random.default_rng(5)
VOCAB, HIDDEN, HEADS, KV, DIM, FFN, EPS, THETA = 512, 256, 4, 2, 64, 256, 1e-5, 10000.0
IDS = [1, 45, 300, 7, 7, 511, 120, 44, 9, 260, 3, 88, 401, 2]
SHAPES = {
    "token_embd": (VOCAB, HIDDEN), "blk.0.attn_q": (HEADS * DIM, HIDDEN), "blk.0.attn_k": (KV * DIM, HIDDEN),
    "blk.0.attn_v": (KV * DIM, HIDDEN), "blk.0.attn_output": (HIDDEN, HEADS * DIM), "blk.0.ffn_gate": (FFN, HIDDEN),
    "blk.0.ffn_up": (FFN, HIDDEN), "blk.0.ffn_down": (HIDDEN, FFN),
    "blk.0.attn_norm": (HIDDEN,), "blk.0.ffn_norm": (HIDDEN,), "output_norm": (HIDDEN,),
}
# The type of each matrix, with llama.cpp's number of a file all of that type.
TYPES = {
    "token_embd": (T.Q6_K, 18), "blk.0.attn_q": (T.Q2_K, 10), "blk.0.attn_k": (T.Q3_K, 11), "blk.0.attn_v": (T.Q5_K, 16),
    "blk.0.attn_output": (T.Q4_K, 14), "blk.0.ffn_gate": (T.Q4_K, 14), "blk.0.ffn_up": (T.Q5_0, 8), "blk.0.ffn_down": (T.Q5_1, 9),
}


def write(path, tensors):
    """A file with the tiny model's tokenizer and the tensors: name -> (raw, type)."""
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(512)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(1)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_layer_norm_rms_eps(EPS)
    w.add_rope_freq_base(THETA)
    w.add_rope_dimension_count(DIM)
    w.add_vocab_size(VOCAB)
    w.add_quantization_version(2)
    for key, field in tiny.fields.items():
        if key.startswith("tokenizer."):
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            w.add_key_value(key, field.contents(), field.types[0], sub_type=inner)
    for name, (raw, kind) in tensors.items():
        w.add_tensor(name + ".weight", raw, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def quantised(source, ftype, out):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.pure, params.nthread = ftype, True, 1
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp made no file of type {ftype}")
    return {t.name.removesuffix(".weight"): t for t in gguf.GGUFReader(out).tensors}


def rotate(x):
    """Llama's positions as GGUF keeps them: neighbours are pairs. x: positions, heads, DIM."""
    angle = np.arange(len(x))[:, None] * THETA ** (-2 * np.arange(DIM // 2) / DIM)
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * weight


def forward(w, ids):
    x = w["token_embd"][ids]
    n = norm(x, w["blk.0.attn_norm"])
    q = rotate((n @ w["blk.0.attn_q"].T).reshape(-1, HEADS, DIM))
    k = rotate((n @ w["blk.0.attn_k"].T).reshape(-1, KV, DIM))
    v = (n @ w["blk.0.attn_v"].T).reshape(-1, KV, DIM)
    k, v = (np.repeat(a, HEADS // KV, axis=1) for a in (k, v))
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(DIM)
    scores = np.where(np.tri(len(ids), dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    x = x + np.einsum("hqk,khd->qhd", p, v).reshape(len(ids), -1) @ w["blk.0.attn_output"].T
    n = norm(x, w["blk.0.ffn_norm"])
    gate = n @ w["blk.0.ffn_gate"].T
    x = x + (gate / (1 + np.exp(-gate)) * (n @ w["blk.0.ffn_up"].T)) @ w["blk.0.ffn_down"].T
    return norm(x, w["output_norm"]) @ w["token_embd"].T


floats = {}
for name, shape in SHAPES.items():
    scale = 1.0 if len(shape) == 1 else 2 / np.sqrt(HIDDEN)
    floats[name] = (rng.standard_normal(shape) * scale * 0.5 + (len(shape) == 1)).astype(np.float32)
with tempfile.TemporaryDirectory() as tmp:
    source = Path(tmp) / "f32.gguf"
    write(source, {n: (v, T.F32) for n, v in floats.items()})
    files = {ftype: quantised(source, ftype, Path(tmp) / f"{ftype}.gguf") for ftype in {f for _, f in TYPES.values()}}
    tensors = {}
    for name, value in floats.items():
        if name not in TYPES:
            tensors[name] = (value, T.F32)
            continue
        kind, ftype = TYPES[name]
        t = files[ftype][name]
        assert t.tensor_type == kind, (name, t.tensor_type)
        tensors[name] = (np.array(t.data), kind)
    write(here / "quants.gguf", tensors)

decoded = {n: gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(SHAPES[n]) for n, (raw, kind) in tensors.items()}
logits = forward({n: v.astype(np.float64) for n, v in decoded.items()}, IDS)
sums = {n + ".weight": hashlib.sha256(v.astype("<f4").tobytes()).hexdigest() for n, v in decoded.items()}
(here / "quants.json").write_text(json.dumps({"ids": IDS, "sha256": sums}, indent=1) + "\n")
with gzip.GzipFile(here / "quants.f32.gz", "wb", mtime=0) as f:
    f.write(logits.astype("<f4").tobytes())

llm = llama_cpp.Llama(str(here / "quants.gguf"), n_ctx=64, logits_all=True, verbose=False)
llm.eval(IDS)
theirs = np.array(llm.scores[: len(IDS)], dtype=np.float64)
cosine = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(logits, theirs)]
print(f"llama.cpp: least cosine {min(cosine):.6f}, at most {np.abs(logits - theirs).max():.3g} away; logits up to {np.abs(logits).max():.3g}")
