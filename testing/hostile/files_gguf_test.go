package hostile

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/weights"
)

// ggufCut ends the file where each field of its header begins, and within its data.
func ggufCut(t *testing.T) (files []file) {
	g := readTiny(t)
	whole, marks := g.bytes()
	for i, m := range marks {
		say, kind := m.what, is(weights.ErrTruncated)
		switch {
		case m.what == "": // the header is whole, the data are missing
			say = "data offset"
		case m.at >= 16 && m.at < 24: // the count promises more than there is
		case m.at >= 24 && uint64(len(g.tensors))*32 > uint64(m.at-16):
			say, kind = "tensor count", is(weights.ErrCount)
		case m.at >= 24 && uint64(len(g.pairs))*13 > uint64(m.at-24):
			say, kind = "metadata count", is(weights.ErrCount)
		}
		if m.at == 24 || m.at == 16 {
			say, kind = map[int]string{16: "tensor count", 24: "tensor count"}[m.at], is(weights.ErrCount)
		}
		files = append(files, file{fmt.Sprintf("before field %d, %s of %q", i, m.what, m.owner),
			one("m.gguf", whole[:m.at]), kind, []string{"m.gguf: ", say, "at byte"}})
		if m.what == "array length" { // and within the array
			files = append(files, file{fmt.Sprintf("within the array of %q", m.owner), one("m.gguf", whole[:m.at+8+5]),
				is(weights.ErrTruncated, weights.ErrCount), []string{"m.gguf: ", "at byte"}})
		}
	}
	for _, x := range g.tensors[1:] {
		if x.name == "output_norm.weight" || strings.HasPrefix(x.name, "blk.3") {
			files = append(files, file{"within the data, before " + x.name,
				one("m.gguf", whole[:len(whole)-len(g.data)+int(x.offset)]), is(weights.ErrTruncated), []string{"m.gguf: ", "data offset"}})
		}
	}
	return files
}

// ggufFields puts numbers into fields of the header that cannot be right.
func ggufFields(t *testing.T) (files []file) {
	g := readTiny(t)
	whole, marks := g.bytes()
	add := func(m mark, value []byte, kind error, say ...string) {
		b := slices.Clone(whole)
		copy(b[m.at:], value)
		name := fmt.Sprintf("%s of %q at %d is %x", m.what, m.owner, m.at, value)
		files = append(files, file{name, one("m.gguf", b), is(kind), append([]string{"m.gguf: "}, say...)})
	}
	huge := []uint64{1 << 32, 1 << 60, 1<<63 - 1, 1 << 63, math.MaxUint64}
	for _, m := range marks {
		switch m.what {
		case "magic":
			for magic, kind := range map[string]error{"GGML": weights.ErrMagic, "ggjt": weights.ErrMagic, "FUGG": weights.ErrMagic, "\x00\x00\x00\x00": weights.ErrMagic,
				"PK\x03\x04": weights.ErrPickle, "\x80\x02}q": weights.ErrPickle} {
				add(m, []byte(magic), kind, "magic", "at byte")
			}
		case "version":
			for _, v := range []uint32{0, 1, 4, 3 << 24, math.MaxUint32} {
				add(m, word(v), weights.ErrVersion, "version", "at byte")
			}
		case "tensor count", "metadata count", "array length":
			for _, n := range huge {
				add(m, long(n), weights.ErrCount, m.what, m.owner)
			}
		case "key length", "name length":
			for _, n := range huge[2:] {
				add(m, long(n), weights.ErrCount, m.what)
			}
		case "string length":
			for _, n := range huge[1:] {
				add(m, long(n), weights.ErrCount, m.what, m.owner)
			}
		case "value type", "array type":
			for _, n := range []uint32{13, 255, math.MaxUint32} {
				add(m, word(n), weights.ErrValue, m.what, m.owner)
			}
		}
		if m.owner != "blk.1.ffn_down.weight" && m.owner != "token_embd.weight" {
			continue
		}
		switch m.what {
		case "dimension count":
			for _, n := range []uint32{0, 5, 1 << 20, math.MaxUint32} {
				add(m, word(n), weights.ErrShape, m.what, m.owner)
			}
		case "dims[0]", "dims[1]":
			for _, n := range append([]uint64{0, 1<<40 + 32}, huge[1:]...) {
				add(m, long(n), weights.ErrShape, m.owner, "dims[")
			}
			add(m, long(1<<40), weights.ErrTruncated, m.owner, "data offset")
		case "tensor type":
			for _, n := range []uint32{4, 5, 31, 36, 99, math.MaxUint32} {
				add(m, word(n), weights.ErrType, m.what, m.owner)
			}
		case "data offset":
			for _, n := range []uint64{1, 31, 1<<63 + 1} {
				add(m, long(n), weights.ErrMisaligned, m.what, m.owner)
			}
			for _, n := range []uint64{uint64(len(whole)+31) / 32 * 32, 1 << 40, 1 << 63, math.MaxUint64 - 31} {
				add(m, long(n), weights.ErrTruncated, m.what, m.owner)
			}
			add(m, long(le.Uint64(whole[m.at:])+32), weights.ErrOverlap, m.what)
		}
	}
	return files
}

// ggufKeys changes metadata and tensors to what the format allows and no model is.
func ggufKeys(t *testing.T) (files []file) {
	g := readTiny(t)
	add := func(name string, kind kind, say string, change func(*gguf)) {
		files = append(files, file{name, one("m.gguf", g.with(change)), kind, []string{"m.gguf", say}})
	}
	set := func(key string, as uint32, value []byte, kind kind) {
		add(fmt.Sprintf("%s = type %d %.24x", key, as, value), kind, key, func(g *gguf) { g.set(key, as, value) })
	}
	for _, key := range []string{"context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count", "vocab_size"} {
		for _, c := range []struct {
			kind  uint32
			value []byte
		}{{text, str("64")}, {f32, word(math.Float32bits(64))}, {i32, word(math.MaxUint32)}, {u64, long(1 << 40)}, {boolean, []byte{1}},
			{array, list(u32, word(64))}, {u64, long(1 << 63)}} {
			set("llama."+key, c.kind, c.value, badConfig)
		}
	}
	for key, bound := range map[string]string{"context_length": "max_position_embeddings", "embedding_length": "hidden_size", "block_count": "num_hidden_layers",
		"feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads", "vocab_size": "vocab_size"} {
		for _, n := range []uint32{0, math.MaxUint32} {
			add(fmt.Sprintf("%s = %d", key, n), badConfig, bound, func(g *gguf) { g.set("llama."+key, u32, word(n)) })
		}
	}
	for _, key := range []string{"rope.freq_base", "attention.layer_norm_rms_epsilon"} {
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0} {
			say := map[string]string{"rope.freq_base": "rope_theta", "attention.layer_norm_rms_epsilon": "rms_norm_eps"}[key]
			add(fmt.Sprintf("%s = %v", key, v), badConfig, say, func(g *gguf) { g.set("llama."+key, f32, word(math.Float32bits(float32(v)))) })
		}
		set("llama."+key, text, str("1e-5"), badConfig)
		set("llama."+key, u32, word(1), badConfig)
	}
	for _, key := range []string{"attention.head_count_kv", "attention.value_length", "rope.dimension_count"} {
		set("llama."+key, array, list(i32, word(2), word(1)), badConfig)
		set("llama."+key, text, str("2"), badConfig)
	}
	for _, key := range []string{"expert_count", "expert_used_count"} {
		set("llama."+key, u32, word(8), badConfig)
	}
	for _, key := range []string{"attention.causal", "logit_scale", "attention.max_alibi_bias", "x", "rope.scaling.nonsense", ""} {
		set("llama."+key, f32, word(math.Float32bits(1)), unsupported)
	}
	for _, kind := range []string{"longrope", "dynamic", "su", ""} {
		set("llama.rope.scaling.type", text, str(kind), badConfig)
	}
	add("a factor that is no number", badConfig, "rope_scaling.factor = NaN", func(g *gguf) {
		g.set("llama.rope.scaling.factor", f32, word(math.Float32bits(float32(math.NaN()))))
	})
	for _, arch := range []string{"", "mamba", "llama4", "gpt2", "LLAMA", "../llama", strings.Repeat("llama", 1000)} {
		add("architecture "+arch[:min(len(arch), 9)], unsupported, "architecture", func(g *gguf) { g.set("general.architecture", text, str(arch)) })
	}
	add("architecture is a number", unsupported, "architecture", func(g *gguf) { g.set("general.architecture", u32, word(1)) })
	for _, n := range []uint32{0, 1, 7, 24, 33, 1 << 17, math.MaxUint32} {
		set("general.alignment", u32, word(n), is(weights.ErrValue))
	}
	set("general.alignment", text, str("32"), is(weights.ErrValue))
	set("general.alignment", u64, long(32), is(weights.ErrValue))
	set("general.quantization_version", u32, word(1), badConfig)
	set("general.quantization_version", text, str("2"), badConfig)

	for _, p := range g.pairs {
		if !strings.HasPrefix(p.key, "general.") {
			add(p.key+" twice", is(weights.ErrDuplicate), p.key, func(g *gguf) { g.pairs = append(g.pairs, p) })
		}
	}
	for _, key := range []string{"llama.context_length", "llama.embedding_length", "llama.block_count", "llama.feed_forward_length", "llama.attention.head_count",
		"llama.attention.layer_norm_rms_epsilon"} {
		say := map[string]string{"llama.context_length": "max_position_embeddings", "llama.embedding_length": "hidden_size", "llama.block_count": "num_hidden_layers",
			"llama.feed_forward_length": "intermediate_size", "llama.attention.head_count": "num_attention_heads", "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps"}[key]
		add("without "+key, badConfig, say, func(g *gguf) { g.drop(key) })
	}
	add("without general.architecture", unsupported, "architecture", func(g *gguf) { g.drop("general.architecture") })
	nested := list(u32, word(1))
	for range 5 {
		nested = append(append(word(array), long(1)...), nested...)
	}
	set("general.tags", array, nested, is(weights.ErrValue))
	set("general.flags", array, list(boolean, []byte{1}, []byte{2}), is(weights.ErrValue))
	set("general.flag", boolean, []byte{255}, is(weights.ErrValue))

	files = append(files, ggufTokens(g)...)
	return append(files, ggufTensors(g)...)
}

// ggufTokens has tokenizers and templates that are none.
func ggufTokens(g *gguf) (files []file) {
	add := func(key string, as uint32, value []byte, kind kind) {
		files = append(files, file{fmt.Sprintf("%s = type %d %.24x", key, as, value), one("m.gguf", g.with(func(g *gguf) { g.set(key, as, value) })),
			kind, []string{"m.gguf", strings.TrimPrefix(key, "tokenizer.ggml.")}})
	}
	either := func(err error) bool { return badTokens(err) || badConfig(err) }
	strings1 := list(text, str("a"), str("b"))
	for _, model := range []string{"", "bert", "unigram", "rwkv", "no_vocab"} {
		add("tokenizer.ggml.model", text, str(model), either)
	}
	add("tokenizer.ggml.pre", text, str("nobody"), either)
	for _, key := range []string{"model", "pre"} {
		add("tokenizer.ggml."+key, u32, word(1), either)
		add("tokenizer.ggml."+key, array, strings1, either)
	}
	for _, key := range []string{"tokens", "merges", "token_type"} {
		add("tokenizer.ggml."+key, u32, word(1), either)
		add("tokenizer.ggml."+key, text, str("a"), either)
		add("tokenizer.ggml."+key, array, list(f32, word(0)), either)
	}
	add("tokenizer.ggml.token_type", array, list(i32, word(1)), either)
	add("tokenizer.ggml.merges", array, list(text, str("nospace")), func(err error) bool { return either(err) })
	files[len(files)-1].say = []string{"m.gguf", "merge"}
	for _, key := range []string{"bos_token_id", "eos_token_id", "eot_token_id"} {
		for _, n := range []uint32{512, 1 << 21, math.MaxUint32} {
			add("tokenizer.ggml."+key, u32, word(n), either)
			files[len(files)-1].say = []string{"m.gguf"}
		}
		add("tokenizer.ggml."+key, text, str("2"), either)
		add("tokenizer.ggml."+key, array, list(u32, word(2)), either)
		add("tokenizer.ggml."+key, i32, word(math.MaxUint32), either)
		files[len(files)-1].say = []string{"m.gguf"}
	}
	add("tokenizer.ggml.add_bos_token", text, str("true"), either)
	add("tokenizer.ggml.add_bos_token", u32, word(1), either)
	add("tokenizer.chat_template", u32, word(1), either)
	add("tokenizer.chat_template", array, strings1, either)
	more := g.with(func(g *gguf) { g.set("llama.vocab_size", u32, word(500)) })
	return append(files, file{"more tokens than rows", one("m.gguf", more), badConfig, []string{"m.gguf"}})
}

// ggufTensors has tensors that make no model.
func ggufTensors(g *gguf) (files []file) {
	add := func(name string, kind kind, say string, change func(*gguf)) {
		files = append(files, file{name, one("m.gguf", g.with(change)), kind, []string{"m.gguf", say}})
	}
	for _, x := range g.tensors {
		if !strings.HasPrefix(x.name, "blk.2.") && strings.HasPrefix(x.name, "blk.") {
			continue
		}
		add("without "+x.name, is(weights.ErrNoTensor), x.name, func(g *gguf) {
			g.tensors = slices.DeleteFunc(g.tensors, func(y tensor) bool { return y.name == x.name })
		})
		add(x.name+" turned", badConfig, x.name, func(g *gguf) {
			if y := g.tensor(x.name); len(y.dims) == 1 {
				y.dims = []uint64{y.dims[0] / 2}
			} else {
				y.dims[0] /= 2
			}
		})
		add(x.name+" twice", is(weights.ErrDuplicate), x.name, func(g *gguf) { g.tensors = append(g.tensors, x) })
		add("a stranger at "+x.name, unsupported, "stranger", func(g *gguf) {
			g.tensors = append(g.tensors, tensor{"stranger", []uint64{1}, 24, uint64(len(g.data)+31) / 32 * 32})
			g.data = append(slices.Clone(g.data), make([]byte, 64)...)
		})
	}
	for name, kind := range map[string]uint32{"IQ4_NL": 20, "I8": 24, "MXFP4": 39} {
		add("type "+name, unsupported, name, func(g *gguf) { g.tensor("blk.2.ffn_up.weight").kind = kind })
	}
	add("five dimensions", is(weights.ErrShape), "dimension count", func(g *gguf) { g.tensor("blk.2.ffn_up.weight").dims = []uint64{64, 192, 1, 1, 1} })
	add("a name of 65 bytes", is(weights.ErrCount), "name length", func(g *gguf) { g.tensor("blk.2.ffn_up.weight").name = strings.Repeat("x", 65) })
	add("part of a block", is(weights.ErrShape), "dims[0]", func(g *gguf) { g.tensor("blk.2.ffn_up.weight").dims[0] = 63 })
	add("all tensors at one place", is(weights.ErrOverlap), "data offset", func(g *gguf) {
		for i := range g.tensors {
			g.tensors[i].offset = 0
		}
	})
	add("no tensor", is(weights.ErrNoTensor), "token_embd.weight", func(g *gguf) { g.tensors = nil })
	return files
}

// ggufSplits are parts that do not make a model.
func ggufSplits(t *testing.T) (files []file) {
	g := readTiny(t)
	part := func(no, count, from, to int, total uint32, all bool) []byte {
		return g.with(func(g *gguf) {
			if !all {
				g.pairs = nil
			}
			g.tensors = g.tensors[from:to]
			g.set("split.no", u32, word(uint32(no)))
			g.set("split.count", u32, word(uint32(count)))
			g.set("split.tensors.count", i32, word(total))
		})
	}
	n := len(g.tensors)
	a, b, c := part(0, 3, 0, 10, uint32(n), true), part(1, 3, 10, 20, uint32(n), false), part(2, 3, 20, n, uint32(n), false)
	whole, _ := g.bytes()
	names := [3]string{"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}
	add := func(name string, parts [3][]byte, kind kind, say ...string) {
		files = append(files, file{name, func(dir string) (string, error) {
			for i, p := range parts {
				if p != nil {
					if err := os.WriteFile(filepath.Join(dir, names[i]), p, 0o600); err != nil {
						return "", err
					}
				}
			}
			return filepath.Join(dir, names[0]), nil
		}, kind, say})
	}
	parts := is(weights.ErrParts)
	add("the second part is missing", [3][]byte{a, nil, c}, is(os.ErrNotExist), names[1])
	add("the last part is missing", [3][]byte{a, b, nil}, is(os.ErrNotExist), names[2])
	add("all but the first are missing", [3][]byte{a, nil, nil}, is(os.ErrNotExist), names[1])
	add("the first part is missing", [3][]byte{nil, b, c}, is(os.ErrNotExist), names[0])
	add("doubled", [3][]byte{a, b, b}, parts, names[2], "split.no")
	add("the first doubled", [3][]byte{a, a, c}, parts, names[1], "split.no")
	add("reordered", [3][]byte{a, c, b}, parts, names[1], "split.no")
	add("turned", [3][]byte{c, a, b}, parts, names[0], "split.no")
	add("a part of two", [3][]byte{a, part(1, 2, 10, 20, uint32(n), false), c}, parts, names[1], "split.count")
	add("a part of another sum", [3][]byte{a, part(1, 3, 10, 20, 99, false), c}, parts, names[1], "split.tensors.count")
	add("a tensor less", [3][]byte{a, part(1, 3, 10, 19, uint32(n), false), c}, parts, names[2], "split.tensors.count")
	add("a tensor in two parts", [3][]byte{a, part(1, 3, 9, 19, uint32(n), false), c}, is(weights.ErrDuplicate), names[1])
	add("a whole model as a part", [3][]byte{a, whole, c}, parts, names[1], "split.no")
	add("a whole model as the first", [3][]byte{whole, b, c}, parts, names[0], "split.count")
	add("count 0", [3][]byte{part(0, 0, 0, 10, uint32(n), true), b, c}, parts, "split.tensors.count")
	add("count 4", [3][]byte{part(0, 4, 0, 10, uint32(n), true), b, c}, parts, "split.count")
	add("count 65535", [3][]byte{part(0, 65535, 0, 10, uint32(n), true), b, c}, parts, "split.count")
	add("count 4294967295", [3][]byte{part(0, math.MaxUint32, 0, 10, uint32(n), true), b, c}, parts, "split.count")
	add("a negative sum", [3][]byte{part(0, 3, 0, 10, math.MaxUint32, true), b, c}, parts, "split.tensors.count")
	add("a part is cut", [3][]byte{a, b[:100], c}, is(weights.ErrTruncated, weights.ErrCount), names[1])
	add("a part is empty", [3][]byte{a, {}, c}, is(weights.ErrTruncated), names[1], "magic")
	add("a part is a pickle", [3][]byte{a, []byte("\x80\x02}q\x00."), c}, is(weights.ErrPickle), names[1])
	another := g.with(func(g *gguf) {
		g.pairs, g.tensors = nil, g.tensors[10:20]
		g.set("split.no", u32, word(1))
		g.set("split.count", u32, word(3))
		g.set("split.tensors.count", i32, word(uint32(n)))
		g.set("general.architecture", text, str("qwen2"))
	})
	add("a part of another architecture", [3][]byte{a, another, c}, parts, names[1], "general.architecture")
	files = append(files, file{"the second part opened", func(dir string) (string, error) {
		for i, p := range [][]byte{a, b, c} {
			if err := os.WriteFile(filepath.Join(dir, names[i]), p, 0o600); err != nil {
				return "", err
			}
		}
		return filepath.Join(dir, names[1]), nil
	}, parts, []string{"open the first part, " + names[0]}})
	return append(files, file{"renamed", one("model.gguf", a), parts, []string{"model.gguf", "split.count"}})
}
