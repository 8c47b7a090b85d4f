package jinja

import (
	"strings"
	"testing"
)

// TestTaint renders templates in which upper-case letters are the caller's
// (x is "AB  C", l is ["D", "E"], d is {"K": "V"}) and shows what is trusted:
// untrusted runs stand between ‹ and ›.
func TestTaint(t *testing.T) {
	vars := map[string]Value{
		"x": Untrusted("AB  C"),
		"l": NewList(Untrusted("D"), Untrusted("E")),
		"d": NewDict(),
		"n": Int(7),
	}
	vars["d"].(*Dict).Set("K", Untrusted("V"))
	for source, want := range map[string]string{
		"a{{ x }}b":                                              "a‹AB  C›b",
		"{{ 'a' + x + 'b' ~ x }}":                                "a‹AB  C›b‹AB  C›",
		"{{ (' ' + x + ' ')|trim }}":                             "‹AB  C›",
		"{{ ('a' + x)[0:2] }}|{{ x[0] }}|{{ x[::-1] }}":          "a‹A›|‹A›|‹C  BA›",
		"{{ ('a' + x + 'b').strip('ab') }}":                      "‹AB  C›",
		"{{ (x ~ ',' ~ x).split(',')[1] }}":                      "‹AB  C›",
		"{{ x.split() }}":                                        "[‹'AB'›, ‹'C'›]",
		"{{ x.split()|join('-') }}":                              "‹AB›-‹C›",
		"{{ ', '.join(l) }} {{ l|join('+') }}":                   "‹D›, ‹E› ‹D›+‹E›",
		"{{ 'a-b'|replace('-', x) }}":                            "a‹AB  C›b",
		"{{ x|replace('B', 'b') }}":                              "‹A›b‹  C›",
		"{{ 'aXb'.replace(l[0], 'y') }}":                         "aXb",
		"{{ ('a' + x)|upper }}":                                  "‹AAB  C›",
		"{{ x|lower|title|capitalize }}":                         "‹Ab  c›",
		"{{ 'a'|upper }}":                                        "A",
		"{{ d|tojson }} {{ l|tojson(indent=1) }}":                `{"‹K›": "‹V›"} [` + "\n" + ` "‹D›",` + "\n" + ` "‹E›"` + "\n]",
		"{{ d }} {{ l }}":                                        "{‹'K'›: ‹'V'›} [‹'D'›, ‹'E'›]",
		"{{ d.keys()|first }}{{ d.items()|list|first }}":         "‹K›(‹'K'›, ‹'V'›)",
		"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}": "‹K›=‹V›",
		"{% for c in x %}{{ c }}.{% endfor %}":                   "‹A›.‹B›.‹ ›.‹ ›.‹C›.",
		"{{ '%s=%5s' % (x, l[0]) }}":                             "‹AB  C›=    ‹D›",
		"{{ '{}-{:>3}'.format(x, l[1]) }}":                       "‹AB  C›-  ‹E›",
		"{{ '%s' | format(x) }}":                                 "‹AB  C›",
		"{{ x|indent }}|{{ (x ~ '\n' ~ x)|indent(2) }}":          "‹AB  C›|‹AB  C›\n  ‹AB  C›",
		"{% set y %}<{{ x }}>{% endset %}{{ y }}":                "<‹AB  C›>",
		"{% set y | trim %} {{ x }} {% endset %}{{ y }}":         "‹AB  C›",
		"{% filter upper %}a{{ x }}{% endfilter %}":              "‹AAB  C›",
		"{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(x) }}":      "<‹AB  C›>",
		"{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}{{ x }}{% endcall %}": "<‹AB  C›>",
		"{% set ns = namespace(v=x) %}{{ ns.v }}":                                         "‹AB  C›",
		"{{ x * 2 }} {{ x|list|first }} {{ x|reverse }}":                                  "‹AB  CAB  C› ‹A› ‹C  BA›",
		"{{ x.partition('  ')|list|last }}":                                               "‹C›",
		"{{ x.center(9, '*') }}":                                                          "**‹AB  C›**",
		"{{ (x ~ '<')|escape }}":                                                          "‹AB  C›&lt;",
		"{{ n }}{{ x|length }}{{ x == 'q' }}{{ x|default('z') }}":                         "75False‹AB  C›",
		"{{ x if x else 'e' }}{{ x or 'e' }}{{ '' or x }}":                                "‹AB  CAB  CAB  C›",
		"{{ l|map('lower')|join }}{{ l|sort|first }}{{ [l[0], 'a']|min }}":                "‹deD›a",
		"{{ dict(a=x).a }}{{ {'a': x}['a'] }}{{ (x, 1)[0] }}":                             "‹AB  CAB  CAB  C›",
	} {
		tmpl, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		out, err := tmpl.Render(vars, Options{})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got := bracket(out); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// bracket writes a string with its untrusted runs between ‹ and ›.
func bracket(s String) string {
	var out strings.Builder
	for _, seg := range s.Segments() {
		if seg.Trusted {
			out.WriteString(seg.Text)
		} else {
			out.WriteString("‹" + seg.Text + "›")
		}
	}
	return out.String()
}
