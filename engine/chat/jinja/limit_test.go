package jinja

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestBombs renders templates that would take all memory or time.
func TestBombs(t *testing.T) {
	for _, source := range []string{
		"{{ 'x' * 1000000000 }}",
		"{{ [0] * 1000000000 }}",
		"{{ 'x'.center(10 ** 15) }}",
		"{{ 'x'.zfill(10 ** 15) }}",
		"{{ '%1000000000d' % 1 }}{{ '%*d' % (10 ** 12, 1) }}",
		"{{ '{:1000000000}'.format(1) }}",
		"{{ 'a\na'|indent(10 ** 9) }}",
		"{{ [1]|batch(10 ** 9, 0)|list }}",
		"{{ [1]|slice(10 ** 9)|list }}",
		"{{ [[1]]|tojson(indent=10 ** 9) }}",
		"{{ 10 ** (10 ** 10) }}",
		"{% set ns = namespace(x=10) %}{% for i in range(100) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
		"{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
		"{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
		"{% set ns = namespace(x='aa') %}{% for i in range(100) %}{% set ns.x = ns.x|join(ns.x) %}{% endfor %}",
		"{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
		"{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x] or ns.x|tojson }}",
		"{% set ns = namespace(x=[], y=[]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
		"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
		"{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
		"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
		"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
		"{% for a in range(99999) %}{% for b in range(99999) %}{% for c in [] %}{% endfor %}{% endfor %}{% endfor %}",
		"{% for a in range(99999) %}{{ range(99999)|list|length }}{% endfor %}",
		"{% for a in range(99999) %}{{ 'x' * 9999999 }}{% endfor %}",
		"{% for a in range(99999) %}{% set x = 'x' * 999999 %}{{ 'y' in x }}{% endfor %}",
		"{% for a in range(99999) %}{{ 'line of text\n' * 100 }}{% endfor %}",
	} {
		tmpl, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		_, err = tmpl.Render(nil, Options{})
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s: got %v", source, err)
		}
	}
}

// TestDeepSyntax parses sources nested or chained without end.
func TestDeepSyntax(t *testing.T) {
	const n = 50_000
	for name, source := range map[string]string{
		"parentheses": "{{ " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " }}",
		"lists":       "{{ " + strings.Repeat("[", n),
		"not":         "{{ " + strings.Repeat("not ", n) + "1 }}",
		"signs":       "{{ " + strings.Repeat("-", n) + "1 }}",
		"if":          strings.Repeat("{% if 1 %}", n),
		"sum":         "{{ 1" + strings.Repeat("+1", n) + " }}",
		"attributes":  "{{ a" + strings.Repeat(".a", n) + " }}",
		"filters":     "{{ a" + strings.Repeat("|e", n) + " }}",
		"conditions":  "{{ 1" + strings.Repeat(" if 1", n) + " }}",
		"else":        "{{ 1" + strings.Repeat(" if 1 else 1", n) + " }}",
		"power":       "{{ 1" + strings.Repeat("**1", n) + " }}",
		"targets":     "{% set " + strings.Repeat("(", n),
		"and":         "{{ 1" + strings.Repeat(" and 1", n) + " }}",
	} {
		_, err := Parse(source)
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "{", "[", `"`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `[1,]`, `[1 2]`, "nul", "True", "NaN", "Infinity", "-",
		"01", "1.", ".5", "1e", "+1", "0x1", "1e999", "\"\n\"", `"\x"`, `"\u12"`, "\"\xff\"", "1 2", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
		strings.Repeat("[", MaxJSONDepth+2) + strings.Repeat("]", MaxJSONDepth+2), strings.Repeat("[", 100_000),
		strings.Repeat(`{"a":`, 100_000), strings.Repeat("9", maxJSONDigits+1),
	} {
		v, err := ParseJSON([]byte(text))
		var bad *JSONError
		if !errors.As(err, &bad) {
			t.Errorf("%.40q: got %v, %v", text, v, err)
		}
	}
}

func TestParseJSONKeepsOrderAndNumbers(t *testing.T) {
	const text = `{"z": 1, "a": [123456789012345678901234567890, -0.5, 1e+22, "\ufffd☃"], "m": {"y": null, "x": true}}`
	v, err := ParseJSON([]byte(strings.Replace(text, `\ufffd`, `\ud800`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := renderText("{{ v | tojson }}", map[string]Value{"v": v})
	if want := strings.Replace(text, `\ufffd`, "\ufffd", 1); err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	deep := strings.Repeat("[", MaxJSONDepth) + strings.Repeat("]", MaxJSONDepth)
	if _, err := ParseJSON([]byte(deep)); err != nil {
		t.Error(err)
	}
}

func TestOf(t *testing.T) {
	v, err := Of(map[string]any{"b": []any{nil, true, 1, int64(2), 2.5, "s"}, "a": NewList(Text("t"))})
	if err != nil {
		t.Fatal(err)
	}
	got, err := renderText("{{ v }}", map[string]Value{"v": v})
	if want := "{'a': ['t'], 'b': [None, True, 1, 2, 2.5, 's']}"; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Of([]any{make(chan int)}); err == nil {
		t.Error("a channel became a value")
	}
}

func TestDictBeyondItsIndex(t *testing.T) {
	d := NewDict()
	for i := range 100 {
		d.Set(strings.Repeat("k", i), Int(i))
	}
	d.Set("kk", Int(-2))
	for i := range 100 {
		want := Value(Int(i))
		if i == 2 {
			want = Int(-2)
		}
		if v, ok := d.Get(strings.Repeat("k", i)); !ok || v != want {
			t.Errorf("key %d: got %v", i, v)
		}
	}
	if _, ok := d.Get("x"); ok || d.Len() != 100 || d.Clone().Len() != 100 {
		t.Error("a key that is not there")
	}
}

func TestBigArithmetic(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 100)
	vars := map[string]Value{"h": NewBigInt(huge), "i": Int(3)}
	for source, want := range map[string]string{
		"{{ h }}":                               "1267650600228229401496703205376",
		"{{ h - h }} {{ h // i }} {{ -h % i }}": "0 422550200076076467165567735125 2",
		"{{ h > i }} {{ h == h + 0 }} {{ h < 1e31 }} {{ h * 1.0 }}": "True True True 1.2676506002282294e+30",
		"{{ {h: 1}[h] }} {{ -h|abs == h }} {{ h|string|length }}":   "1 True 31",
		"{{ h|round(-29) }} {{ (-1) ** (h + 1) }} {{ 0 ** h }}":     "1300000000000000000000000000000 -1 0",
		"{{ '%d %x' % (h, h) }}":                                    "1267650600228229401496703205376 10000000000000000000000000",
	} {
		if got, err := renderText(source, vars); err != nil || got != want {
			t.Errorf("%s: got %q, %v", source, got, err)
		}
	}
}

func TestStrftimeOfOddTimes(t *testing.T) {
	sunday := time.Date(2023, 1, 1, 0, 30, 0, 0, time.FixedZone("CET", 3600))
	for format, want := range map[string]string{
		"%I%p %e %j %U %W %G-W%V %u %w %z %Z": "12AM  1 001 01 00 2022-W52 7 0 +0100 CET",
		"%-I %-j %-M %Q %":                    "12 1 30 %Q %",
		"%-Q":                                 "%-Q",
	} {
		if got := strftime(format, sunday); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}

// TestManyJSONValues reads as many values as may be, and one more.
func TestManyJSONValues(t *testing.T) {
	text := "[" + strings.Repeat("1,", MaxJSONValues-2) + "1]"
	if _, err := ParseJSON(text); err != nil {
		t.Error(err)
	}
	if _, err := ParseJSON("[1," + text[1:]); err == nil || !strings.Contains(err.Error(), "1048576 values") {
		t.Errorf("got %v", err)
	}
}

// TestReads asks a template for its variables.
func TestReads(t *testing.T) {
	tmpl, err := Parse(`{% if thinking is defined %}{{ thinking.deep }}{% endif %}{% set own = range(3) %}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"thinking": true, "own": true, "deep": false, "range": false, "messages": false} {
		if tmpl.Reads(name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}
