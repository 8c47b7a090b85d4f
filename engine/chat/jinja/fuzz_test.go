package jinja

import (
	"errors"
	"testing"
	"unicode/utf8"
)

// fuzzLimits keep a fuzzing round short.
var fuzzLimits = Limits{Steps: 20_000, OutputBytes: 1 << 16}

// isOwn says whether err is one of the package's own errors.
func isOwn(err error) bool {
	var (
		raised  *TemplateError
		runtime *RuntimeError
		syntax  *SyntaxError
		limit   *LimitError
		json    *JSONError
	)
	return errors.As(err, &raised) || errors.As(err, &runtime) || errors.As(err, &syntax) ||
		errors.As(err, &limit) || errors.As(err, &json)
}

// FuzzRender parses and renders any template: no panic, only known errors, and
// nothing beyond the limits.
func FuzzRender(f *testing.F) {
	for _, c := range readConstructs(f) {
		f.Add(c.Template, []byte(c.Vars))
	}
	f.Fuzz(func(t *testing.T, source string, object []byte) {
		tmpl, err := Parse(source)
		if err != nil {
			if !isOwn(err) {
				t.Fatalf("unknown error %T: %v", err, err)
			}
			return
		}
		vars := map[string]Value{"x": Untrusted("user <text>"), "n": Int(3)}
		if v, err := ParseJSON(object); err == nil {
			vars["v"] = v
			if d, ok := v.(*Dict); ok {
				for i := range d.Len() {
					vars[d.Key(i).(String).text] = d.At(i)
				}
			}
		}
		out, err := tmpl.Render(vars, Options{Limits: fuzzLimits, Now: goldenNow})
		if err != nil && !isOwn(err) {
			t.Fatalf("unknown error %T: %v", err, err)
		}
		checkString(t, out)
	})
}

// checkString fails on a string whose marks are out of order.
func checkString(t *testing.T, s String) {
	t.Helper()
	if len(s.text) > fuzzLimits.OutputBytes {
		t.Fatalf("%d bytes", len(s.text))
	}
	at := -1
	for _, m := range s.taint {
		if m.start <= at || m.end <= m.start || m.end > len(s.text) {
			t.Fatalf("marks %v in %d bytes", s.taint, len(s.text))
		}
		at = m.end
	}
}

// FuzzParseJSON reads any bytes; what it accepts comes out of tojson as
// something it reads as equal.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00\n",null,true,false,{}],"b":{}}`, `[[[]]]`, `"`, `{"a":1,"a":2}`,
		`12345678901234567890123`, `-0`, `1e999`, "\xff", `"\ud800"`, `nul`, `[1,]`, ` 1 `, `{"k"}`, `01`,
	} {
		f.Add([]byte(seed))
	}
	tmpl, err := Parse("{{ v | tojson }}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ParseJSON(text)
		if err != nil {
			if !isOwn(err) {
				t.Fatalf("unknown error %T: %v", err, err)
			}
			return
		}
		if !utf8.Valid(text) {
			t.Fatal("accepted invalid UTF-8")
		}
		out, err := tmpl.Render(map[string]Value{"v": v}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseJSON([]byte(out.text))
		if err != nil {
			t.Fatalf("%s: %v", out.text, err)
		}
		r := &render{limits: DefaultLimits}
		if eq, err := r.equal(v, again); err != nil || !eq {
			t.Fatalf("%s is not %s (%v)", out.text, text, err)
		}
	})
}
