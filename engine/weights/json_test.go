package weights

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONStrings(t *testing.T) {
	for text, want := range map[string]string{
		`""`: "", `"a b"`: "a b", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9\u4E2d"`: "é中",
		`"\ud83d\ude00!"`: "😀!", `"naïve"`: "naïve", `  "x"`: "x",
	} {
		if got, err := (&jsonReader{text: []byte(text)}).str(); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{``, `a`, `"`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud83d"`, `"\ud83dx"`,
		`"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\u"`, "\"\n\"", "\"\x00\"", `"\ufffd"`} {
		if got, err := (&jsonReader{text: []byte(text)}).str(); err == nil {
			t.Errorf("%s: %q was accepted", text, got)
		}
	}
}

func TestJSONNumbers(t *testing.T) {
	for text, want := range map[string]uint64{`0`: 0, ` 7 `: 7, `18446744073709551615`: 1<<64 - 1} {
		if got, err := (&jsonReader{text: []byte(text)}).unsigned(); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `-1`, `01`, `00`, `1.0`, `1e3`, `1E3`, `18446744073709551616`, `99999999999999999999999`, `"1"`, `+1`} {
		if got, err := (&jsonReader{text: []byte(text)}).unsigned(); err == nil {
			t.Errorf("%s: %d was accepted", text, got)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `null`, ` {"a":{"b":1},"c":{"b":[true,false,null,-1.5e-3,"x"]}} `, strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting-1)} {
		if err := CheckJSON("f", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, kind := range map[string]error{
		``: ErrSyntax, `{`: ErrSyntax, `{"a"}`: ErrSyntax, `{"a":}`: ErrSyntax, `{"a":1,}`: ErrSyntax, `[1,]`: ErrSyntax, `[1 2]`: ErrSyntax,
		`{a:1}`: ErrSyntax, `{}{}`: ErrSyntax, `NaN`: ErrSyntax, `[Infinity]`: ErrSyntax, `'a'`: ErrSyntax, `[01]`: ErrSyntax, `tru`: ErrSyntax,
		"\"\xff\"": ErrSyntax, `"\ud800"`: ErrSyntax, `{"\ud800":1}`: ErrSyntax, strings.Repeat("[", maxNesting+1): ErrSyntax,
		strings.Repeat(`{"a":`, 1e5): ErrSyntax, "\xef\xbb\xbf{}": ErrSyntax, `{"a":1,"a":1}`: ErrDuplicate, `{"a":1,"\u0061":1}`: ErrDuplicate, `[{"x":{"b":1,"b":2}}]`: ErrDuplicate,
	} {
		err := CheckJSON("f.json", []byte(text))
		if !errors.Is(err, kind) || !strings.HasPrefix(err.Error(), "f.json: ") || len(err.Error()) > 500 {
			t.Errorf("%.40s: got %v, want %v", text, err, kind)
		}
	}
}

// FuzzCheckJSON: what passes is JSON to encoding/json too, and UTF-8.
func FuzzCheckJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00"],"b":{}}`, `{"a":1,"a":2}`, `[[[[]]]]`, `"\`, `{"a":01}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if CheckJSON("f", text) == nil && !(json.Valid(text) && utf8.Valid(text)) {
			t.Fatalf("%q passed", text)
		}
	})
}

// FuzzIndex: an index that is accepted names plain files beside it, each tensor once.
func FuzzIndex(f *testing.F) {
	for _, text := range []string{
		`{"metadata":{"total_size":8},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}`,
		`{"weight_map":{"a":"../s1.safetensors"}}`, `{"weight_map":{"a":"s.safetensors","\u0061":"s.safetensors"}}`, `{"weight_map":[]}`,
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "m"+indexSuffix)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := readIndex(path)
		if err != nil {
			return
		}
		for n := range x.entries {
			if n > 0 && x.entries[n].tensor <= x.entries[n-1].tensor {
				t.Fatalf("%q comes after %q", x.entries[n].tensor, x.entries[n-1].tensor)
			}
		}
		for _, name := range x.files {
			if filepath.Join(dir, name) != dir+"/"+name || strings.ContainsAny(name, "/\x00") || !strings.HasSuffix(name, ".safetensors") {
				t.Fatalf("file %q", name)
			}
		}
	})
}
