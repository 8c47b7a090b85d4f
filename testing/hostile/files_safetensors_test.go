package hostile

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanofleet/nanofleet/engine/weights"
	"github.com/nanofleet/nanofleet/testing/tiny"
)

// tinyFile reads a file of the tiny model's directory.
func tinyFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tiny.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tinyWith is the tiny model's directory with some files replaced; nil removes one.
func tinyWith(files map[string][]byte) func(dir string) (string, error) {
	return func(dir string) (string, error) {
		names, err := filepath.Glob(filepath.Join(tiny.Dir(), "*"))
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if err := os.Symlink(name, filepath.Join(dir, filepath.Base(name))); err != nil {
				return "", err
			}
		}
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				return "", err
			}
			if text == nil {
				continue
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return "", err
			}
		}
		return dir, nil
	}
}

const weightsName = "model.safetensors"

// safetensorsHeader puts a header before data.
func safetensorsHeader(header string, data []byte) []byte {
	return append(append(long(uint64(len(header))), header...), data...)
}

// entry of a safetensors header.
type entry struct {
	DType   string    `json:"dtype"`
	Shape   []uint64  `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`
}

// safetensorsFiles has headers that are wrong in one thing.
func safetensorsFiles(t *testing.T) (files []file) {
	whole := tinyFile(t, weightsName)
	n := le.Uint64(whole)
	header, data := string(whole[8:8+n]), whole[8+n:]
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(header), &raw); err != nil {
		t.Fatal(err)
	}
	const victim, other = "model.layers.1.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight"
	var e, o entry
	if err := json.Unmarshal(raw[victim], &e); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw[other], &o); err != nil {
		t.Fatal(err)
	}
	add := func(name string, text []byte, kind error, say ...string) {
		files = append(files, file{name, tinyWith(map[string][]byte{weightsName: text}), is(kind), append([]string{weightsName + ": "}, say...)})
	}
	// The victim's entry replaced by text; padded so that the data keep their place.
	change := func(name, text string, kind error, say ...string) {
		old := string(raw[victim])
		changed := strings.Replace(header, old, text, 1)
		for len(changed)%8 != 0 {
			changed += " "
		}
		add(name, safetensorsHeader(changed, data), kind, say...)
	}

	for _, at := range []int{0, 1, 7, 8, 9, 100, int(n) / 2, int(8 + n - 1), int(8 + n), len(whole) / 2, len(whole) - 1} {
		add(fmt.Sprintf("cut at %d", at), whole[:at], weights.ErrTruncated, "at byte")
	}
	add("a byte more", append(append([]byte(nil), whole...), 0), weights.ErrGap, "file size")
	for _, length := range []uint64{1 << 31, 1 << 40, 1 << 62, 1 << 63, math.MaxUint64, math.MaxUint64 - 7, 1<<63 - 1} {
		add(fmt.Sprintf("header of %d", length), append(long(length), whole[8:]...), weights.ErrCount, "header length", "at byte")
	}
	add("header to the last byte", append(long(uint64(len(whole)-8)), whole[8:]...), weights.ErrTruncated, "data_offsets end")
	add("header a byte too long", append(long(uint64(len(whole)-7)), whole[8:]...), weights.ErrTruncated, "header length")
	for length := range uint64(3) {
		add(fmt.Sprintf("header of %d", length), append(long(length), whole[8:]...), weights.ErrSyntax, "header length")
	}
	for _, text := range []string{``, ` `, `null`, `[]`, `7`, `"{}"`, `{`, `}`, `{}{}`, `{"a":1}`, `{"a":null}`, `{"a":[]}`, `{"a":"F32"}`, `{a:{}}`, `{"a":{},}`, `{'a':{}}`,
		"{\"a\xff\":{}}", `{"\ud800":{}}`, `{"a\x":{}}`, "{\"a\n\":{}}", `{"a":{}}`, `{"__metadata__":[]}`, `{"__metadata__":{"a":1}}`, `{"__metadata__":{"a":{"b":"c"}}}`,
		`{"__metadata__":"x"}`, strings.Repeat(`{"a":`, 1000), strings.Repeat(`[`, 1000), "\xef\xbb\xbf{}", `{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", 1000) + `1],"data_offsets":[0,4]}}`} {
		add(fmt.Sprintf("header %.40q of %d", text, len(text)), safetensorsHeader(text, nil), weights.ErrSyntax, "header length", "at byte 8")
	}
	add("an empty header", safetensorsHeader(`{}`, data), weights.ErrGap, "file size")
	add("metadata twice", safetensorsHeader(`{"__metadata__":{},"__metadata__":{}}`, nil), weights.ErrDuplicate, "__metadata__")
	add("a key of the metadata twice", safetensorsHeader(`{"__metadata__":{"a":"b","a":"c"}}`, nil), weights.ErrDuplicate, `"a"`)
	add("a tensor twice", safetensorsHeader(header[:len(strings.TrimRight(header, " "))-1]+`,"`+victim+`":`+string(raw[victim])+`}`, data), weights.ErrDuplicate, victim)
	add("a long name", safetensorsHeader(`{"`+strings.Repeat("x", 5000)+`":{}}`, nil), weights.ErrCount, "name length")

	with := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"dtype":%s,"shape":%s,"data_offsets":%s}`, dtype, shape, offsets)
	}
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	shape, offsets := text(e.Shape), text(e.Offsets)
	for _, dtype := range []string{"F8", "", "f32", "BF16 ", "INT4", "F4", "float32", "GPTQ", strings.Repeat("F", 500)} {
		change(fmt.Sprintf("dtype %.10q of %d", dtype, len(dtype)), with(text(dtype), shape, offsets), weights.ErrType, victim, "dtype")
	}
	for _, dtype := range []string{"F32", "F64", "I64", "I8", "U8", "BOOL", "F8_E4M3"} {
		change("dtype "+dtype, with(text(dtype), shape, offsets), weights.ErrShape, victim, "bytes")
	}
	for _, s := range []string{`[0]`, `[]`, `[1]`, `[192,65]`, `[4294967296,4294967296]`, `[18446744073709551615]`, `[18446744073709551615,2]`, `[9223372036854775808,64]`,
		`[192,64,18446744073709551615]`, `[1099511627776,1099511627776,64]`, `[4611686018427387904,4]`, `[0,18446744073709551615]`} {
		change("shape "+s, with(`"BF16"`, s, offsets), weights.ErrShape, victim, "bytes")
	}
	for _, s := range []string{`[-1]`, `[1.5]`, `[1e3]`, `["64"]`, `[null]`, `[[64]]`, `64`, `null`, `{}`, `"x"`, `[64,]`, `[18446744073709551616]`, `[1,1,1,1,1,1,1,1,1]`, `[064]`, `[true]`} {
		change("shape "+s, with(`"BF16"`, s, offsets), weights.ErrSyntax, victim)
		change("offsets "+s, with(`"BF16"`, shape, s), weights.ErrSyntax, victim)
	}
	at, end := e.Offsets[0], e.Offsets[1]
	for _, s := range []string{fmt.Sprintf("[%d,%d]", end, at), `[0,18446744073709551615]`, `[18446744073709551615,18446744073709551615]`, fmt.Sprintf("[%d,%d]", at, len(data)+1),
		`[9223372036854775808,9223372036854800384]`, fmt.Sprintf("[%d,9223372036854775807]", at)} {
		change("offsets "+s, with(`"BF16"`, shape, s), weights.ErrTruncated, victim, "data_offsets end")
	}
	for _, s := range []string{fmt.Sprintf("[%d,%d]", at, at), fmt.Sprintf("[%d,%d]", at, end-2), fmt.Sprintf("[%d,%d]", at-2, end)} {
		change("offsets "+s, with(`"BF16"`, shape, s), weights.ErrShape, victim, "bytes")
	}
	change("misaligned", with(`"BF16"`, shape, fmt.Sprintf("[%d,%d]", at+1, end+1)), weights.ErrMisaligned, victim, "data offset")
	change("overlapping", with(`"BF16"`, shape, fmt.Sprintf("[%d,%d]", at-2, end-2)), weights.ErrOverlap, "data offset")
	change("at another's place", with(`"BF16"`, shape, text(o.Offsets)), weights.ErrOverlap, "data offset")
	change("leaving a hole", with(`"BF16"`, `[191,64]`, fmt.Sprintf("[%d,%d]", at, end-128)), weights.ErrGap, "data offset")
	change("no fields", `{}`, weights.ErrSyntax, victim)
	change("without dtype", `{"shape":`+shape+`,"data_offsets":`+offsets+`}`, weights.ErrSyntax, victim)
	change("without shape", `{"dtype":"BF16","data_offsets":`+offsets+`}`, weights.ErrSyntax, victim)
	change("without offsets", `{"dtype":"BF16","shape":`+shape+`}`, weights.ErrSyntax, victim)
	change("dtype twice", `{"dtype":"F32","dtype":"BF16","shape":`+shape+`,"data_offsets":`+offsets+`}`, weights.ErrDuplicate, "dtype")
	change("shape twice", `{"dtype":"BF16","shape":[1],"shape":`+shape+`,"data_offsets":`+offsets+`}`, weights.ErrDuplicate, "shape")
	change("another field", `{"dtype":"BF16","shape":`+shape+`,"data_offsets":`+offsets+`,"Dtype":"F32"}`, weights.ErrSyntax, victim)
	change("dtype in capitals", `{"DTYPE":"BF16","shape":`+shape+`,"data_offsets":`+offsets+`}`, weights.ErrSyntax, victim)

	add("a GGUF file by that name", []byte("GGUF\x03\x00\x00\x00"), weights.ErrCount, "header length")
	add("a pickle by that name", []byte("\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01u."), weights.ErrCount, "header length")
	add("a zip by that name", []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00"), weights.ErrCount, "header length")
	renamed := func(name, to string, kind kind, say string) {
		files = append(files, file{name, tinyWith(map[string][]byte{weightsName: []byte(strings.Replace(string(whole), victim, to, 1))}), kind, []string{say}})
	}
	renamed("a stranger", "model.layers.9.mlp.up_proj.weight", is(weights.ErrNoTensor), victim)
	renamed("a name with ..", "../../.layers.1.mlp.up_proj.weigh", is(weights.ErrNoTensor), victim)
	return files
}

// indexFiles has indexes and shards that do not say the same.
func indexFiles(t *testing.T) (files []file) {
	whole := tinyFile(t, weightsName)
	n := le.Uint64(whole)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(whole[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "__metadata__")
	const shard, spare = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	const index = "model.safetensors.index.json"
	good := map[string]string{}
	for name := range header {
		good[name] = shard
	}
	extra := safetensorsHeader(`{"extra":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, []byte("data"))
	write := func(text string, more map[string][]byte) func(string) (string, error) {
		all := map[string][]byte{weightsName: nil, shard: whole, index: []byte(text)}
		for name, b := range more {
			all[name] = b
		}
		return tinyWith(all)
	}
	of := func(edit func(map[string]string)) string {
		m := map[string]string{}
		for k, v := range good {
			m[k] = v
		}
		edit(m)
		b, _ := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 7}, "weight_map": m})
		return string(b)
	}
	add := func(name, text string, kind kind, say ...string) {
		files = append(files, file{name, write(text, map[string][]byte{spare: extra}), kind, say})
	}
	syntax := is(weights.ErrSyntax)
	for _, text := range []string{``, `{`, `[]`, `null`, `7`, `{}`, `{"weight_map":{}}`, `{"weight_map":[]}`, `{"weight_map":null}`, `{"weight_map":"x"}`, `{"weight_map":{"a":1}}`,
		`{"weight_map":{"a":null}}`, `{"weight_map":{"a":["x"]}}`, `{"weight_map":{"a":{"b":"c"}}}`, `{"Weight_Map":{"a":"x.safetensors"}}`, `{"weight_map":{"a":"x.safetensors"}}{}`,
		"{\"weight_map\":{\"a\xff\":\"x.safetensors\"}}", `{"weight_map":{"\ud800":"x.safetensors"}}`, `{"metadata":` + strings.Repeat("[", 5000), `{"metadata":NaN,"weight_map":{}}`} {
		add(fmt.Sprintf("%.40q of %d", text, len(text)), text, syntax, index)
	}
	for _, name := range []string{"../" + shard, "..", ".", "", "/etc/passwd", "a/b.safetensors", `a\b.safetensors`, `..\b.safetensors`, "a\x00.safetensors", "./" + shard, "weights.gguf",
		"config.json", "MODEL.SAFETENSORS", "x.safetensors/", "x.safetensors.gz"} {
		add(fmt.Sprintf("file %q", name), of(func(m map[string]string) { m["model.norm.weight"] = name }), syntax, index, "model.norm.weight")
	}
	for _, name := range []string{"pytorch_model.bin", "consolidated.00.pth", "model.pt", "model.ckpt", "MODEL.PKL"} {
		add("file "+name, of(func(m map[string]string) { m["model.norm.weight"] = name }), is(weights.ErrPickle), index, name)
	}
	add("a missing shard", of(func(m map[string]string) { m["model.norm.weight"] = "gone.safetensors" }), is(os.ErrNotExist), index, "gone.safetensors", "model.norm.weight")
	add("a tensor in another shard than named", of(func(m map[string]string) { m["model.norm.weight"] = spare }), is(weights.ErrParts), "model.norm.weight")
	add("a tensor that no shard has", of(func(m map[string]string) { m["ghost"] = shard }), is(weights.ErrParts), "ghost", shard)
	add("a tensor that the index leaves out", of(func(m map[string]string) { delete(m, "model.norm.weight") }), is(weights.ErrParts), "model.norm.weight", shard)
	add("a shard that holds what nobody needs", of(func(m map[string]string) { m["extra"] = spare }), unsupported, "extra")
	add("a tensor twice", strings.Replace(of(func(map[string]string) {}), `"weight_map":{`, `"weight_map":{"model.norm.weight":"`+shard+`",`, 1), is(weights.ErrDuplicate), index, "model.norm.weight")
	add("the map twice", `{"weight_map":{"a":"`+shard+`"},"weight_map":{"a":"`+shard+`"}}`, is(weights.ErrDuplicate), index, "weight_map")
	many := func(m map[string]string) {
		for i := range 5000 {
			m[fmt.Sprint("t", i)] = fmt.Sprintf("s%d.safetensors", i)
		}
	}
	add("5,000 shards", of(many), is(weights.ErrCount), index, "weight_map files")
	both := of(func(m map[string]string) { m["extra"] = spare })
	files = append(files,
		file{"a shard is cut", write(both, map[string][]byte{spare: extra[:20]}), is(weights.ErrTruncated), []string{spare}},
		file{"a shard is empty", write(both, map[string][]byte{spare: {}}), is(weights.ErrTruncated), []string{spare}},
		file{"a shard is the other", write(both, map[string][]byte{spare: whole}), is(weights.ErrParts), []string{spare}},
		file{"a shard without its index", tinyWith(map[string][]byte{weightsName: nil, shard: whole}), is(os.ErrNotExist), []string{"model.safetensors"}})
	return files
}
