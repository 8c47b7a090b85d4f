package chat

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
)

// bombs are templates that ask for more than there is: each must end by a limit or as
// what it is, an error.
var bombs = func() map[string]string {
	all := maps.Clone(plainBombs)
	for name, source := range plainBombs {
		all[name+", small ranges"] = strings.ReplaceAll(source, "range(99999)", "range(1999)") // or the first takes it all
	}
	for name, body := range repeated {
		all[name] = "{% set s = 'aB c-' * 10000 %}{% set l = range(2000)|list %}{% set n = 7 ** 1400 %}{% set d = dict(a=1, b=2) %}" +
			"{% for i in range(999) %}{% for j in range(999) %}" + body + "{% endfor %}{% endfor %}"
	}
	all["many variables"] = manyVariables()
	return all
}()

// repeated are operations that cost most for what they are charged.
var repeated = map[string]string{
	"products": "{% set x = n * n %}", "quotients": "{% set x = (n * n) // (n + 1) %}", "printed numbers": "{% set x = n|string %}",
	"upper": "{% set x = s|upper %}", "title": "{% set x = s|title %}", "escape": "{% set x = s|escape %}", "url": "{% set x = s|urlencode %}",
	"words": "{% set x = s|wordcount %}", "trim by a set": "{% set x = s.strip(s) %}", "trim": "{% set x = (s ~ ' ')|trim %}",
	"replace": "{% set x = s|replace('c', 'dd') %}", "split by space": "{% set x = s.split() %}", "lines": "{% set x = (s|replace(' ', '\n')).splitlines() %}",
	"partition": "{% set x = s.partition('q') %}", "index": "{% set x = s[40000] %}", "slice": "{% set x = s[1:] %}", "turned": "{% set x = s[::-1] %}",
	"reverse": "{% set x = l|reverse|list %}", "sort": "{% set x = l|sort %}", "unique": "{% set x = l|unique|list %}", "in a list": "{% set x = -1 in l %}",
	"sum": "{% set x = l|sum %}", "batch": "{% set x = l|batch(1)|list %}", "map": "{% set x = l|map('string')|list %}", "select": "{% set x = l|select('odd')|list %}",
	"joined": "{% set x = l|join(',') %}", "tojson": "{% set x = l|tojson %}", "formatted": "{% set x = '%s' % s %}", "concatenated": "{% set x = s ~ s %}",
	"equal": "{% set x = (s ~ '1') == (s ~ '2') %}", "starts": "{% set x = s.startswith('x', 30000) %}", "dicts": "{% set x = dict(d, c=l) %}",
	"macro": "{% macro f(a, b=1) %}{{ a }}{{ varargs }}{% endmacro %}{% set x = f(1, 2, 3) %}", "isalpha": "{% set x = s.isalpha() %}", "list sum": "{% set x = l + l %}",
	"wide list": "{% set x = l * 10 %}", "namespaces": "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}", "messages": "{% set x = messages|tojson %}",
}

// manyVariables sets names in an inner scope and looks past all of them.
func manyVariables() string {
	var b strings.Builder
	b.WriteString("{% for i in range(1) %}")
	for i := range 5000 {
		fmt.Fprintf(&b, "{%% set v%d = i %%}", i)
	}
	b.WriteString("{% for j in range(9999) %}{% if q %}{% endif %}{% if q %}{% endif %}{% endfor %}{% endfor %}")
	return b.String()
}

// mostBytes is what a bomb may allocate in all, what is garbage meanwhile included.
const mostBytes = 16 << 20

// allocated is what do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

var plainBombs = map[string]string{
	"nested loops":         strings.Repeat("{% for i in range(99999) %}", 8) + "x" + strings.Repeat("{% endfor %}", 8),
	"empty loops":          strings.Repeat("{% for i in range(99999) %}", 8) + strings.Repeat("{% endfor %}", 8),
	"wide range":           "{% for i in range(1000000000) %}x{% endfor %}",
	"range of ranges":      "{{ range(99999)|map('string')|join(range(99999)|list|string) }}",
	"multiplied text":      "{{ 'x' * 1000000000 }}",
	"multiplied again":     "{% set s = 'x' * 1000000 %}{{ s * 1000000 }}",
	"multiplied list":      "{{ [0] * 1000000000 }}",
	"doubled text":         "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
	"doubled list":         "{% set ns = namespace(s=[0]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
	"nested list":          "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
	"tower of powers":      "{{ 9 ** 9 ** 9 ** 9 ** 9 ** 9 }}",
	"shifted by products":  "{% set ns = namespace(n=9) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
	"recursive macro":      "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
	"mutual macros":        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
	"replace blows up":     "{{ ('x' * 1000000).replace('x', 'y' * 1000000) }}",
	"replace of nothing":   "{{ ('x' * 1000000)|replace('', 'y' * 1000) }}",
	"join blows up":        "{{ range(99999)|join('y' * 100000) }}",
	"indent blows up":      "{{ ('\n' * 1000000)|indent(100000, true, true) }}",
	"centred":              "{{ 'x'|center(1000000000) }}",
	"formatted wide":       "{{ '%1000000000d' % 1 }}",
	"formatted wide again": "{{ '{:1000000000}'.format(1) }}",
	"tojson indents":       "{{ range(99999)|list|tojson(indent=100000) }}",
	"sorted often":         "{% for i in range(99999) %}{% set x = range(99999)|sort %}{% endfor %}",
	"split often":          "{% set s = 'x,' * 500000 %}{% for i in range(99999) %}{% set x = s.split(',') %}{% endfor %}",
	"compared often":       "{% set a = range(99999)|list %}{% for i in range(99999) %}{% if a == a + [] %}{% endif %}{% endfor %}",
	"searched often":       "{% set s = 'a' * 1000000 %}{% for i in range(99999) %}{% if 'aaaab' in s %}{% endif %}{% endfor %}",
	"searched badly":       "{% for i in range(99999) %}{% set n = ('a' * 4000000).count('a' * 2000000 + 'b') %}{% endfor %}",
	"conversation repeats": "{% for i in range(99999) %}{{ messages|tojson }}{% endfor %}",
	"attribute walk":       "{{ ''.__class__.__mro__[1].__subclasses__() }}",
	"globals":              "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
}

// TestBombs: no template costs more than its limits, whatever it asks for.
func TestBombs(t *testing.T) {
	in := Input{Messages: list(t, []byte(`[{"role":"user","content":"`+strings.Repeat("x", 1000)+`"}]`))}
	for name, source := range bombs {
		t.Run(name, func(t *testing.T) {
			tmpl, err := Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			bytes := allocated(func() { text, err = tmpl.Render(in) })
			t.Logf("%d bytes: %.100v", bytes, err)
			if bytes > mostBytes {
				t.Errorf("%d bytes, want at most %d", bytes, mostBytes)
			}
			var limit *LimitError
			var fault *RuntimeError
			if !errors.As(err, &limit) && !errors.As(err, &fault) {
				t.Errorf("%d bytes and error %v, want a limit or a fault", len(text), err)
			}
		})
	}
}

// sourceBombs are templates of up to a megabyte that cost most to read.
var sourceBombs = func() map[string]string {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	return map[string]string{
		"parentheses": "{{ " + fill("(")[:size-10], "brackets": "{{ " + fill("[")[:size-10], "blocks": fill("{% if x %}"),
		"not": "{{ " + fill("not ")[:size-10], "minus": "{{ " + fill("-")[:size-10], "plus": "{{ 1" + fill("+1")[:size-20] + " }}",
		"filters": "{{ x" + fill("|e")[:size-20] + " }}", "calls": "{{ x" + fill("()")[:size-20] + " }}", "dots": "{{ x" + fill(".y")[:size-20] + " }}",
		"comments": fill("{##}"), "open comment": "{#" + fill("x")[:size-10], "elifs": "{% if x %}" + fill("{% elif x %}")[:size-24],
		"conditions": "{{ " + fill("1 if 1 else ")[:size-20], "strings": "{{ " + fill("'a' ")[:size-10], "digits": "{{ " + fill("9")[:size-10] + " }}",
		"too long": fill("x") + "x", "dashes": fill("{%-"), "prints": fill("{{x}}"), "texts": fill("x{{1}}"), "numbers": "{{ [" + fill("1,")[:size-20] + "] }}",
		"sets": fill("{% set x = [y.z(1)|e] %}"), "macros": fill("{% macro f(a,b,c) %}{% endmacro %}"), "raw": "{% raw %}" + fill("{{")[:size-20],
	}
}()

// TestSourceBombs: sources of up to a megabyte are parsed or refused, never fatal.
func TestSourceBombs(t *testing.T) {
	for name, source := range sourceBombs {
		t.Run(name, func(t *testing.T) {
			var err error
			bytes := allocated(func() { _, err = Parse(source) })
			t.Logf("%d bytes: %.100v", bytes, err)
			if bytes > mostBytes {
				t.Errorf("%d bytes, want at most %d", bytes, mostBytes)
			}
			var syntax *SyntaxError
			var limit *LimitError
			if err != nil && !errors.As(err, &syntax) && !errors.As(err, &limit) {
				t.Errorf("error %T %.200v", err, err)
			}
			if name == "digits" && limit == nil {
				t.Errorf("a megabyte of digits gives %.200v, want a limit", err)
			}
		})
	}
}
