"""Makes the files that the CPU engine is measured on.

  python quantise.py FROM.gguf Q4_K_M [Q6_K ...] --to DIRECTORY
  python quantise.py FROM.gguf --random RANDOM.gguf

The first lets llama.cpp quantise a file (again) to types by their names there. The
second makes a Llama of random weights with rows of 1024 and 2816, which K types hold (576,
SmolLM2's rows, they do not), with the tokenizer of the file.
Needs: llama-cpp-python, gguf, numpy.
"""
import argparse
from pathlib import Path

import gguf
import llama_cpp as lc
import numpy as np

HIDDEN, FFN, LAYERS, HEADS, KV_HEADS = 1024, 2816, 8, 16, 4


def quantise(source, name, target):
    params = lc.llama_model_quantize_default_params()
    params.ftype = getattr(lc, f"LLAMA_FTYPE_MOSTLY_{name}")
    params.allow_requantize, params.nthread = True, 2
    assert lc.llama_model_quantize(str(source).encode(), str(target).encode(), params) == 0, f"{name} failed"
    print(target)


def tokenizer(writer, reader):
    """Copies every tokenizer.* key."""
    for field in reader.fields.values():
        if not field.name.startswith("tokenizer."):
            continue
        kind, *inner = field.types
        writer.add_key_value(field.name, field.contents(), kind, inner[0] if inner else None)


def random_model(source, target):
    reader = gguf.GGUFReader(source)
    vocab = len(reader.fields["tokenizer.ggml.tokens"].data)
    writer, rng = gguf.GGUFWriter(target, "llama"), np.random.default_rng(1)
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000)
    writer.add_vocab_size(vocab)
    tokenizer(writer, reader)

    def matrix(name, rows, cols):
        writer.add_tensor(name + ".weight", (rng.standard_normal((rows, cols), np.float32) / np.sqrt(cols)).astype(np.float16))

    def norm(name):
        writer.add_tensor(name + ".weight", np.ones(HIDDEN, np.float32))

    matrix("token_embd", vocab, HIDDEN)
    kv = HIDDEN // HEADS * KV_HEADS
    for i in range(LAYERS):
        norm(f"blk.{i}.attn_norm")
        for part, rows in (("q", HIDDEN), ("k", kv), ("v", kv), ("output", HIDDEN)):
            matrix(f"blk.{i}.attn_{part}", rows, HIDDEN)
        norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.ffn_gate", FFN, HIDDEN)
        matrix(f"blk.{i}.ffn_up", FFN, HIDDEN)
        matrix(f"blk.{i}.ffn_down", HIDDEN, FFN)
    norm("output_norm")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(target)


@lc.llama_log_callback
def silent(level, text, data):
    pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("types", nargs="*")
    parser.add_argument("--to", type=Path, default=Path("."))
    parser.add_argument("--random", type=Path)
    args = parser.parse_args()
    lc.llama_log_set(silent, None)
    if args.random:
        random_model(args.source, args.random)
    for name in args.types:
        quantise(args.source, name, args.to / f"{args.source.stem.removesuffix('.Q4_1')}.{name}.gguf")


if __name__ == "__main__":
    main()
