"""Writes golden logits and greedy texts of a Llama model as transformers computes them.

  python golden.py MODEL NAME [--all] [--prompts FILE]

MODEL    a GGUF file (its weights dequantised by the gguf package) or a Hugging Face
         directory; computed in float32 either way
NAME     of the golden set: testdata/NAME.json and testdata/NAME.N.f16.gz
--all    keep the logits of every position of a prompt, not only the last one's
--prompts FILE  a JSON list of texts; without it the 20 prompts below

Logits are float16, vocabulary after vocabulary, in the order of the prompts, split
into files of at most five prompts. The greedy text is at most 64 tokens, the one that
ends it included.
Needs: gguf, numpy, torch, transformers.
"""
import argparse
import gzip
import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

here = Path(__file__).parent
GREEDY, PER_FILE = 64, 5


def chat(text, system="You are a helpful AI assistant named SmolLM, trained by Hugging Face"):
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


PROMPTS = [
    chat("What is the capital of France?"),
    chat("Write a haiku about the sea."),
    chat("Explain in two sentences why the sky is blue."),
    chat("List five fruits."),
    chat("Translate to French: The cat sleeps on the sofa."),
    chat("What is 17 + 25? Think step by step."),
    chat("Who wrote Romeo and Juliet, and when?", system="You answer in one short sentence."),
    chat("Write a Python function that reverses a string."),
    chat("Tell me a short story about a lighthouse keeper who finds a bottle."),
    chat("Summarise: The quick brown fox jumps over the lazy dog. The dog does not mind. The fox does it again, "
         "and again, until the sun goes down and both of them fall asleep under the old oak tree by the river."),
    "The Industrial Revolution began in",
    "Once upon a time, in a small village at the foot of a mountain,",
    "def fibonacci(n):\n    ",
    "Water boils at 100 degrees Celsius, and freezes at",
    "SELECT name, age FROM users WHERE",
    "1, 2, 3, 4, 5,",
    "Dear Sir or Madam,\n\nI am writing to",
    "Der Hund läuft durch den",
    "The three primary colours are",
    "The history of mathematics deals with the origin of discoveries in mathematics and the mathematical methods and "
    "notation of the past. Before the modern age and the worldwide spread of knowledge, written examples of new "
    "mathematical developments have come to light only in a few locales. From 3000 BC the Mesopotamian states of Sumer, "
    "Akkad and Assyria, followed closely by Ancient Egypt and the Levantine state of Ebla began using arithmetic, "
    "algebra and geometry for purposes of taxation, commerce, trade and also in the field of astronomy to record time "
    "and formulate calendars. The earliest mathematical texts available are from Mesopotamia and Egypt. All of these "
    "texts mention the so-called Pythagorean triples, so, by inference, the Pythagorean theorem seems to be the most",
]

NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}


def unpermute(weight, heads):
    """The adjacent pairs of GGUF's llama back to Hugging Face's halves."""
    out, cols = weight.shape
    return weight.reshape(heads, out // heads // 2, 2, cols).swapaxes(1, 2).reshape(out, cols)


def field(reader, key, absent=None):
    f = reader.fields.get(key)
    return absent if f is None else f.contents()


def from_gguf(path):
    reader = gguf.GGUFReader(path)
    get = lambda key, absent=None: field(reader, "llama." + key, absent)
    heads, kv = get("attention.head_count"), get("attention.head_count_kv")
    config = LlamaConfig(
        vocab_size=len(field(reader, "tokenizer.ggml.tokens")), hidden_size=get("embedding_length"),
        intermediate_size=get("feed_forward_length"), num_hidden_layers=get("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv,
        head_dim=get("attention.key_length", get("embedding_length") // heads),
        rms_norm_eps=get("attention.layer_norm_rms_epsilon"), rope_theta=get("rope.freq_base"),
        max_position_embeddings=get("context_length"), tie_word_embeddings=True,
    )
    state = {}
    for t in reader.tensors:
        weight = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
        parts = t.name.split(".")
        if parts[0] == "blk":
            if parts[2] in ("attn_q", "attn_k"):
                weight = unpermute(weight, heads if parts[2] == "attn_q" else kv)
            name = f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"
        else:
            name = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[t.name]
        state[name] = torch.from_numpy(np.ascontiguousarray(weight))
    model = LlamaForCausalLM(config).float()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    assert abs(model.model.rotary_emb.inv_freq[1].item() - get("rope.freq_base") ** (-2 / config.head_dim)) < 1e-6
    return model, gguf_tokenizer(reader), [field(reader, "tokenizer.ggml.eos_token_id")]


def gguf_tokenizer(reader):
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tok.decoder = decoders.ByteLevel()
    types = field(reader, "tokenizer.ggml.token_type")
    tok.add_special_tokens([t for t, kind in zip(tokens, types) if kind == 3])
    return tok


def from_directory(path):
    model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)
    tok = Tokenizer.from_file(str(Path(path) / "tokenizer.json"))
    end = json.loads((Path(path) / "generation_config.json").read_text())["eos_token_id"]
    return model, tok, end if isinstance(end, list) else [end]


@torch.no_grad()
def run(model, ids, end, keep_all):
    result = model(input_ids=torch.tensor([ids]), use_cache=True)
    logits = result.logits[0] if keep_all else result.logits[0, -1:]
    greedy, past, last = [], result.past_key_values, result.logits[0, -1]
    while len(greedy) < GREEDY:
        greedy.append(int(last.argmax()))
        if greedy[-1] in end:
            break
        result = model(input_ids=torch.tensor([greedy[-1:]]), past_key_values=past, use_cache=True)
        past, last = result.past_key_values, result.logits[0, -1]
    return logits.numpy().astype("<f2"), greedy


def digest(path):
    path = Path(path)
    path = path if path.is_file() else path / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("name")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--prompts")
    args = parser.parse_args()
    model, tok, end = from_gguf(args.model) if Path(args.model).is_file() else from_directory(args.model)
    model.eval()
    texts = json.loads(Path(args.prompts).read_text()) if args.prompts else PROMPTS
    prompts, rows = [], []
    for text in texts:
        ids = tok.encode(text, add_special_tokens=False).ids
        logits, greedy = run(model, ids, end, args.all)
        prompts.append({"text": text, "ids": ids, "greedy": greedy})
        rows.append(logits)
        print(repr(text[-40:]), "->", repr(tok.decode(greedy)), flush=True)
    out = here / "testdata"
    for n in range(0, len(rows), PER_FILE):
        with gzip.GzipFile(out / f"{args.name}.{n // PER_FILE}.f16.gz", "wb", mtime=0) as f:
            f.write(np.concatenate(rows[n : n + PER_FILE]).tobytes())
    header = {"sha256": digest(args.model), "vocab": model.config.vocab_size, "all": args.all, "prompts": prompts}
    (out / f"{args.name}.json").write_text(json.dumps(header, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
