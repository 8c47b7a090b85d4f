"""Golden token ids, made with Hugging Face's tokenizers library (0.23).

    golden.py strings OUT                      the 10,000 strings, one JSON list, gzip
    golden.py smollm2 MODEL.gguf STRINGS DIR   smollm2.tokenizer.json.gz and smollm2.golden.json.gz
    golden.py small STRINGS DIR                two tokenizers trained on the strings, and their goldens
    golden.py file NAME TOKENIZER.json STRINGS DIR    NAME.golden.json.gz
    golden.py pieces STRINGS DIR               a SentencePiece model trained on the strings, three tokenizer.json
                                               of its vocabulary, and their goldens
    golden.py model NAME TOKENIZER.model STRINGS DIR  NAME.golden.json.gz, by the sentencepiece library

A golden file holds, for every string, the CRC-32 of its ids (little-endian int32) with
control tokens recognised ("special") and without ("plain"), and the ids themselves of
the first strings. Needs the packages tokenizers, gguf and sentencepiece; everything is seeded.
"""
import gzip
import hashlib
import json
import random
import struct
import sys
import zlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

COUNT = 10_000
SHOWN = 300

WORDS = """the quick brown fox jumps over lazy dogs I'm you're they've we'll he'd it's DON'T SHE'LL
naïve café Ångström straße Übergröße ſtraße 'ſ L'été qu'il don’t rock'n'roll 'tis o'clock
привет мир как дела Ελληνικά γλώσσα שלום עולם مرحبا بالعالم नमस्ते दुनिया হ্যালো สวัสดีชาวโลก ສະບາຍດີ
你好 世界 機器學習 こんにちは カタカナ ﾊﾝｶｸ 안녕하세요 세계 ሰላም ዓለም გამარჯობა Բարեւ ཁམས་བཟང မင်္ဂလာပါ ភាសាខ្មែរ
தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල ᐃᓄᒃᑎᑐᑦ ᏣᎳᎩ Tiếng Việt İstanbul ĳ ﬁ ﬃ ŉ Ǆ ẞ
foo_bar fooBar HTTPServer x2 3.14 1e-9 0xDEADBEEF v1.2.3 100% $5.00 #tag @user a+b==c i++ !== => :: ///
https://example.com/a?b=c&d=%20 user@example.org C:\\path\\file.txt ~/.bashrc <div class="x"> &amp; {{ x }} [^1]""".split()

CODE = [
    "func main() {\n\tfmt.Println(\"hi\")\n}\n",
    "def f(x):\n    return x ** 2  # square\n\n\nclass A:\n        pass\n",
    "for (int i = 0; i < n; ++i) { a[i] = b[i] << 3; }\r\n",
    "SELECT * FROM t WHERE a = 'it''s' AND b >= 10;\n",
    "#!/bin/sh\nset -eu\n\necho \"$HOME\" | sed 's/x/y/g'\n",
    "{\"a\": [1, 2.5, null], \"b\": {\"c\": \"\\u00e9\"}}",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n- [ ] x\n",
    "\\frac{1}{2} \\sum_{i=0}^{n} x_i^2",
]

EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "❤️", "🧑🏿‍🚀", "1️⃣", "🤷🏻‍♀️", "☺︎", "🫠", "🪿"]

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\n ", " \n \n  ", "\t\t", "\u00a0", "\u3000", "\u2028",
          "\u200b", "\u0085", "\x0b", "\x0c", "\r", " " * 17, "\n" * 9, " \t \n\t  ", "\u2009\u200a", "\ufeff"]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<tool_call>", "</tool_call>",
           "<think>", "</think>", "<|fim_prefix|>", "<|im_start|>user\n", "<|im_end|>\n", "<|im_", "im_start|>", "<|",
           "<<|im_end|>>", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|endoftext|", "<empty_output>"]

MARKS = "\u0301\u0316\u0323\u0302\u0308\u0327\u0345\u0334\u3099\u05b0\u064b\u0e38\u093c\u094d\u1ab0\u1ac1\u0898\u07fd"


def any_char(r):
    while True:
        c = r.randrange(r.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x32000, 0x110000]))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def words(r):
    return "".join(r.choice(WORDS) + r.choice([" "] * 8 + SPACES) for _ in range(r.randrange(1, 12)))


def script(r):
    base = r.choice([0x20, 0xA0, 0x180, 0x370, 0x400, 0x530, 0x590, 0x600, 0x900, 0xB80, 0xE00, 0x10A0, 0x1200, 0x1780,
                     0x1E00, 0x2000, 0x2070, 0x2150, 0x3040, 0x3100, 0x4E00, 0x9F00, 0xA000, 0xAC00, 0xFB00, 0xFF00,
                     0x10000, 0x10D40, 0x11380, 0x13460, 0x16D40, 0x1D400, 0x1E5D0, 0x1F300, 0x20000])
    return "".join(r.choice([chr(base + r.randrange(128))] * 6 + [" "]) for _ in range(r.randrange(1, 24)))


def code(r):
    return "".join(r.choice(CODE) for _ in range(r.randrange(1, 3)))


def emoji(r):
    return "".join(r.choice(EMOJI + [" ", "a", "1"]) for _ in range(r.randrange(1, 8)))


def controls(r):
    return "".join(chr(r.choice([r.randrange(32), r.randrange(127, 161), r.randrange(32, 127)])) for _ in range(r.randrange(1, 24)))


def noise(r):
    return bytes(r.randrange(256) for _ in range(r.randrange(1, 24))).decode("utf-8", errors="replace")


def chars(r):
    return "".join(any_char(r) for _ in range(r.randrange(1, 16)))


def digits(r):
    return "".join(r.choice("0123456789" * 3 + "٣५๗Ⅻ½²𝟙 .,a-") for _ in range(r.randrange(1, 40)))


def spaces(r):
    return "".join(r.choice(SPACES + ["a", ".", "1", "'s"]) for _ in range(r.randrange(1, 10)))


def specials(r):
    return "".join(r.choice(SPECIAL + ["hello ", " ", "\n"]) for _ in range(r.randrange(1, 7)))


def marks(r):
    return "".join(r.choice("aeoux가각かπ ") + "".join(r.choice(MARKS) for _ in range(r.choice([0, 1, 2, 3, 40])))
                   for _ in range(r.randrange(1, 5)))


def contractions(r):
    return "".join(r.choice(["'", "’", "it", "I", " "]) + r.choice(["s", "S", "t", "re", "RE", "Ve", "m", "ll", "lL", "d", "ſ", "x"])
                   for _ in range(r.randrange(1, 8)))


def long(r):
    return r.choice(["a", "ab", "=", "-=", " ", "\n", "0", "é", "漢", "🙂", "\u0301", "aA1 "]) * r.randrange(40, 160)


def all_of(r):
    return "".join(r.choice(KINDS[:-1])(r) for _ in range(2))


KINDS = [words, words, words, script, script, code, emoji, controls, noise, chars, digits, spaces, specials, marks,
         contractions, long, all_of]


def strings():
    r = random.Random(20240229)
    out = [""] + WORDS + CODE + EMOJI + SPACES + SPECIAL
    while len(out) < COUNT:
        out.append(KINDS[len(out) % len(KINDS)](r))
    return out


def write(path, value):
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    with open(path, "wb") as f:
        f.write(gzip.compress(raw, 9, mtime=0))


def read(path):
    with gzip.open(path) as f:
        return json.load(f)


def field(reader, key):
    f = reader.fields[key]
    values = [f.parts[i] for i in f.data]
    return [bytes(v).decode("utf-8") if v.dtype == "uint8" else int(v[0]) for v in values]


def smollm2(path):
    """The tokenizer.json of SmolLM2, rebuilt from a GGUF file's vocabulary and merges."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    tokens = field(reader, "tokenizer.ggml.tokens")
    types = field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE({s: i for i, s in enumerate(tokens)}, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens([s for s, kind in zip(tokens, types) if kind == 3])
    return t


LLAMA = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def small(texts, pattern):
    """A tokenizer whose merges were learnt across all borders, so that each border shows in the ids."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return t


TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def small_tekken(texts):
    """Tekken's expression."""
    t = small(texts, TEKKEN)
    t.model.ignore_merges = True
    t.add_special_tokens(["<s>", "[INST]", "[/INST]"])
    return t


def small_llama(texts):
    """Llama 3's expression, its template, and ignore_merges."""
    t = small(texts, LLAMA)
    t.model.ignore_merges = True
    t.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>"])
    bos = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])])
    return t


def small_qwen(texts):
    """Qwen's expression and normaliser, and added tokens with every flag."""
    t = small(texts, LLAMA.replace("{1,3}", ""))
    t.normalizer = normalizers.Sequence([normalizers.NFC()])
    t.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", rstrip=True, lstrip=True, special=True)])
    t.add_tokens([
        AddedToken("<tool_call>", normalized=False), AddedToken("<think>", normalized=False, rstrip=True),
        AddedToken("</think>", normalized=True, lstrip=True), AddedToken("I", single_word=True, normalized=False),
        AddedToken("café", single_word=True, normalized=True), AddedToken("e\u0301", normalized=True),
        AddedToken("hello", normalized=False), AddedToken("hello <think>", normalized=False)])
    return t


def train_pieces(texts):
    """A SentencePiece model of Llama 2's kind, in bytes."""
    import io

    import sentencepiece

    model = io.BytesIO()
    lines = [x for x in texts if x and "\0" not in x and "\u2581" not in x]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=4000, byte_fallback=True,
        character_coverage=0.98, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, max_sentencepiece_length=16, num_threads=1, minloglevel=2)
    return model.getvalue()


def from_pieces(model, style):
    """The tokenizer.json that transformers makes of a SentencePiece model, old and new, and one that splits."""
    import sentencepiece

    p = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = {p.id_to_piece(i): i for i in range(p.vocab_size())}
    score = {s: p.get_score(i) for s, i in vocab.items()}
    merges = []
    for s, i in vocab.items():
        if not (p.is_control(i) or p.is_unknown(i) or p.is_byte(i)):
            merges += [(s[:n], s[n:], i) for n in range(1, len(s)) if s[:n] in vocab and s[n:] in vocab]
    merges.sort(key=lambda m: (-score[m[0] + m[1]], vocab[m[0]], vocab[m[1]]))
    t = Tokenizer(models.BPE(vocab, [m[:2] for m in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    special = {"normalized": False, "special": True}
    t.add_special_tokens([AddedToken(s, **special) for s in ("<unk>", "<s>", "</s>")])
    chain = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    if style == "legacy":
        t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        t.add_special_tokens([AddedToken("<|im_start|>", normalized=True, special=True), AddedToken("<|im_end|>", lstrip=True, rstrip=True, **special)])
        t.add_tokens([AddedToken("<think>", normalized=True), AddedToken("hello", single_word=True, normalized=False)])
    elif style == "first":
        t.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "first", False)
        t.add_special_tokens([AddedToken("<|im_start|>", **special), AddedToken("<|im_end|>", **special)])
    else:
        t.normalizer = normalizers.NFC()
        t.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always", True)
        chain = [decoders.ByteFallback(), decoders.Metaspace("\u2581", "always", True)]
    t.decoder = decoders.Sequence(chain)
    return t


def golden_pieces(model, texts, source):
    """What the sentencepiece library says, which knows no control tokens in a text."""
    import sentencepiece

    p = sentencepiece.SentencePieceProcessor(model_proto=model)
    plain = [p.encode(x) for x in texts]
    return {
        "source_sha256": source,
        "plain": [crc(ids) for ids in plain],
        "shown": plain[:SHOWN],
        "decoded": zlib.crc32("\0".join(p.decode(ids) for ids in plain).encode("utf-8")),
    }


def crc(ids):
    return zlib.crc32(struct.pack("<%di" % len(ids), *ids))


def golden(t, texts, source):
    def encode(special):
        t.encode_special_tokens = not special
        return [e.ids for e in t.encode_batch(texts, add_special_tokens=False)]

    special, plain = encode(True), encode(False)
    t.encode_special_tokens = False
    return {
        "source_sha256": source,
        "special": [crc(ids) for ids in special],
        "plain": [crc(ids) for ids in plain],
        "shown": special[:SHOWN],
        "decoded": zlib.crc32("\0".join(t.decode_batch(special, skip_special_tokens=False)).encode("utf-8")),
        "skipped": zlib.crc32("\0".join(t.decode_batch(special, skip_special_tokens=True)).encode("utf-8")),
    }


def main(verb, *args):
    if verb == "strings":
        write(args[0], strings())
    elif verb == "smollm2":
        model, texts, out = args
        t = smollm2(model)
        write(f"{out}/smollm2.tokenizer.json.gz", json.loads(t.to_str()))
        write(f"{out}/smollm2.golden.json.gz", golden(t, read(texts), ""))
    elif verb == "small":
        texts, out = read(args[0]), args[1]
        for name, make in [("small_llama", small_llama), ("small_qwen", small_qwen), ("small_tekken", small_tekken)]:
            t = make(texts)
            write(f"{out}/{name}.tokenizer.json.gz", json.loads(t.to_str()))
            write(f"{out}/{name}.golden.json.gz", golden(t, texts, ""))
    elif verb == "file":
        name, path, texts, out = args
        with open(path, "rb") as f:
            raw = f.read()
        write(f"{out}/{name}.golden.json.gz", golden(Tokenizer.from_str(raw.decode("utf-8")), read(texts), hashlib.sha256(raw).hexdigest()))
    elif verb == "pieces":
        texts, out = read(args[0]), args[1]
        model = train_pieces(texts)
        with open(f"{out}/pieces.model.gz", "wb") as f:
            f.write(gzip.compress(model, 9, mtime=0))
        write(f"{out}/pieces.golden.json.gz", golden_pieces(model, texts, ""))
        for style in ("legacy", "first", "split"):
            t = from_pieces(model, style)
            write(f"{out}/pieces_{style}.tokenizer.json.gz", json.loads(t.to_str()))
            write(f"{out}/pieces_{style}.golden.json.gz", golden(t, texts, ""))
    elif verb == "model":
        name, path, texts, out = args
        with open(path, "rb") as f:
            raw = f.read()
        write(f"{out}/{name}.golden.json.gz", golden_pieces(raw, read(texts), hashlib.sha256(raw).hexdigest()))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:] or [""])
