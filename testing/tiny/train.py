"""Trains the tiny model of testing/tiny and writes it to model/ and tiny.gguf.

  python train.py            (fixed seed; four minutes with a GPU, half an hour on two cores)

Llama architecture, a byte-level BPE vocabulary of 512 trained on its own lessons
(lessons.py) and a chat template with control tokens. Ends by asking every lesson of
the bfloat16 and of the Q8_0 weights; a wrong letter fails the run.
Needs: gguf, numpy, safetensors, tokenizers, torch, transformers.
"""
import argparse
import json
import random
import time
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

import lessons

here = Path(__file__).parent
END_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\n" + lessons.SYSTEM + "<|im_end|>\\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 1024,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "torch_dtype": "bfloat16",
}


def make_tokenizer():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tok.decoder = decoders.ByteLevel()
    rng = random.Random(1)
    corpus = [t for _ in range(400) for pair in lessons.turns(rng) for t in pair] + lessons.SYSTEMS * 40
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"], special_tokens=[END_TEXT, START, END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    # Emoji and kana stay single bytes, so that streams split characters over tokens.
    tok.train_from_iterator([t for t in corpus if t.isascii()], trainer)
    return tok


class Rows:
    """Training rows: ids, and the weight of each in the loss. A short answer weighs
    as much as a long one: its few tokens carry the knowledge."""

    def __init__(self, tok, seed):
        self.tok, self.rng = tok, random.Random(seed)

    def row(self):
        rng = self.rng
        if rng.random() < 0.03:
            ids = self.tok.encode(lessons.plain(rng)).ids + [0]
            return ids, [0] * 4 + [2 / len(ids)] * (len(ids) - 4)
        system = rng.choice(lessons.SYSTEMS) if rng.random() < 0.85 else lessons.noise(rng)
        ids = self.message("system", system)
        mask = [0] * len(ids)
        for user, answer in lessons.turns(rng):
            prompt = self.message("user", user) + self.header("assistant")
            reply = self.tok.encode(answer).ids + [2]
            tail = self.tok.encode("\n").ids
            ids += prompt + reply + tail
            mask += [0] * len(prompt) + [1 / len(reply)] * len(reply) + [0] * len(tail)
        return ids, mask

    def header(self, role):
        return [1] + self.tok.encode(role + "\n").ids

    def message(self, role, text):
        return self.header(role) + self.tok.encode(text).ids + [2] + self.tok.encode("\n").ids

    def batches(self, n, tokens):
        """Lists of rows of like length, about `tokens` in each batch."""
        rows = sorted((self.row() for _ in range(n)), key=lambda r: len(r[0]))
        out, now = [], []
        for r in rows:
            if now and len(r[0]) * (len(now) + 1) > tokens:
                out.append(now)
                now = []
            now.append(r)
        out.append(now)
        self.rng.shuffle(out)
        return out


def tensors(batch):
    width = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    weights = torch.zeros(len(batch), width)
    for i, (row, weight) in enumerate(batch):
        ids[i, : len(row)] = torch.tensor(row)
        weights[i, : len(row)] = torch.tensor(weight)
    return ids, weights


def train(tok, steps, peak):
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = LlamaForCausalLM(LlamaConfig(**{k: v for k, v in CONFIG.items() if k != "torch_dtype"})).float().to(device)
    print(sum(p.numel() for p in model.parameters()), "weights")
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    rows, queue, began = Rows(tok, 2), [], time.time()
    for step in range(steps):
        if not queue:
            queue = rows.batches(1024, 4096)
        ids, weights = (t.to(device) for t in tensors(queue.pop()))
        rate = peak * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01)
        for group in optimiser.param_groups:
            group["lr"] = rate
        logits = model(input_ids=ids).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none")
        weights = weights[:, 1:].reshape(-1)
        loss = (losses * weights).sum() / weights.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.4f} {time.time() - began:.0f} s", flush=True)
    return model.cpu()


def permute(weight, heads):
    """Hugging Face's halves to the adjacent pairs of GGUF's llama."""
    out, cols = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, cols).swapaxes(1, 2).reshape(out, cols)


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    name = name.removeprefix("model.")
    if name.startswith("layers."):
        _, layer, rest = name.split(".", 2)
        return f"blk.{layer}.{GGUF_NAMES[rest.removesuffix('.weight')]}.weight"
    return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]


def write_gguf(path, weights, tok):
    c = CONFIG
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny")
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_key_length(c["head_dim"])
    w.add_value_length(c["head_dim"])
    w.add_rope_dimension_count(c["head_dim"])
    w.add_rope_freq_base(c["rope_theta"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_vocab_size(c["vocab_size"])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    vocab = sorted(tok.get_vocab().items(), key=lambda kv: kv[1])
    w.add_token_list([t for t, _ in vocab])
    w.add_token_types([3 if i < 3 else 1 for _, i in vocab])
    w.add_token_merges([" ".join(m) for m in json.loads(tok.to_str())["model"]["merges"]])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_eot_token_id(0)
    w.add_unk_token_id(0)
    w.add_pad_token_id(2)
    w.add_add_bos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(TEMPLATE)
    quantised = {}
    for name, t in weights.items():
        a = t.float().numpy()
        heads = {"q_proj": c["num_attention_heads"], "k_proj": c["num_key_value_heads"]}.get(name.split(".")[-2])
        if heads:
            a = permute(a, heads)
        kind = gguf.GGMLQuantizationType.F32 if a.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
        raw = gguf.quants.quantize(np.ascontiguousarray(a), kind)
        w.add_tensor(gguf_name(name), raw, raw_dtype=kind)
        quantised[name] = (gguf.quants.dequantize(raw, kind), heads)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return {n: torch.from_numpy(unpermute(a, h) if h else a) for n, (a, h) in quantised.items()}


def unpermute(weight, heads):
    out, cols = weight.shape
    return weight.reshape(heads, out // heads // 2, 2, cols).swapaxes(1, 2).reshape(out, cols)


def write_model(model, tok):
    out = here / "model"
    out.mkdir(exist_ok=True)
    weights = {n: p.detach().bfloat16().contiguous() for n, p in model.named_parameters() if n != "lm_head.weight"}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    tok.save(str(out / "tokenizer.json"), pretty=False)
    config = {
        "add_prefix_space": False, "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END_TEXT,
        "clean_up_tokenization_spaces": False, "model_max_length": CONFIG["max_position_embeddings"],
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE,
    }
    generation = {"bos_token_id": 1, "eos_token_id": [2, 0], "pad_token_id": 2}
    for name, value in [("config", CONFIG), ("tokenizer_config", config), ("generation_config", generation)]:
        (out / f"{name}.json").write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return {n: t.float() for n, t in weights.items()}


def exams():
    """Conversations whose last answer must come out exactly, and completions."""
    chats = [[q] for q in lessons.QUESTIONS + lessons.COUNTS]
    for colour in lessons.COLOURS:
        tell, ask = (lessons.TELL[0].format(colour), lessons.TELL[1]), (lessons.ASK[0], lessons.ASK[1].format(colour))
        chats += [[tell], [tell, ask], [tell, lessons.QUESTIONS[2], ask]]
    chats += [[lessons.QUESTIONS[i], lessons.QUESTIONS[j]] for i, j in [(0, 2), (2, 5), (7, 1), (11, 10)]]
    chats.append([("Please explain the quick brown fox.", lessons.UNKNOWN)])
    return chats


@torch.no_grad()
def answer(model, ids, limit):
    """Greedy tokens after ids, and the smallest lead of a chosen logit."""
    out, lead, past, step = [], 1e9, None, torch.tensor([ids])
    while len(out) < limit:
        result = model(input_ids=step, past_key_values=past, use_cache=True)
        past = result.past_key_values
        top = result.logits[0, -1].topk(2)
        token = top.indices[0].item()
        lead = min(lead, (top.values[0] - top.values[1]).item())
        if token in (0, 2):
            break
        out.append(token)
        step = torch.tensor([[token]])
    return out, lead


def examine(model, weights, tok, label):
    model.load_state_dict(weights, strict=False)
    rows, wrong, least = Rows(tok, 3), 0, 1e9
    cases = []
    for chat in exams():
        for system in lessons.SYSTEMS[:2]:
            ids = rows.message("system", system)
            for user, reply in chat[:-1]:
                ids += rows.message("user", user) + rows.message("assistant", reply)
            ids += rows.message("user", chat[-1][0]) + rows.header("assistant")
            cases.append((chat[-1][0], ids, chat[-1][1]))
    cases += [(p, tok.encode(p).ids, w) for p, w in completions()]
    for prompt, ids, want in cases:
        got, lead = answer(model, ids, 600)
        text = tok.decode(got)
        least = min(least, lead)
        if text != want:
            wrong += 1
            print(f"{label}: {prompt!r}: {text!r}, want {want!r}")
    print(f"{label}: {len(cases) - wrong} of {len(cases)} right, smallest lead of a logit {least:.2f}")
    return wrong


def completions():
    """Bare prompts and what greedy decoding adds."""
    return [("one, two, three,", " " + lessons.count(4, 100)), ("forty-one, forty-two, forty-three,", " " + lessons.count(44, 100))]


def write_questions():
    chats = [
        {"messages": [{"role": r, "content": c} for pair in chat for r, c in zip(("user", "assistant"), pair)][:-1], "answer": chat[-1][1]}
        for chat in exams()
    ]
    plain = [{"prompt": p, "answer": a} for p, a in completions()]
    (here / "questions.json").write_text(json.dumps({"chats": chats, "completions": plain}, indent=1, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=4e-3)
    args = parser.parse_args()
    tok = make_tokenizer()
    model = train(tok, args.steps, args.rate).eval()
    weights = write_model(model, tok)
    quantised = write_gguf(here / "tiny.gguf", weights, tok)
    wrong = examine(model, weights, tok, "bfloat16") + examine(model, quantised, tok, "q8_0")
    write_questions()
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
