package jinja

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// goldenNow is the moment at which the goldens were made.
var goldenNow = time.Date(2024, 7, 6, 9, 5, 3, 42000, time.UTC)

// construct is one case of testdata/constructs.json.gz: what Jinja under
// transformers' settings makes of a template.
type construct struct {
	Template string
	Vars     json.RawMessage
	Want     struct{ Text, Class, Message string }
}

func readConstructs(t testing.TB) []construct {
	t.Helper()
	f, err := os.Open("../testdata/constructs.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []construct
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// variables parses the JSON object of a case.
func variables(t testing.TB, object []byte) map[string]Value {
	t.Helper()
	v, err := ParseJSON(object)
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]Value{}
	d := v.(*Dict)
	for i := range d.Len() {
		vars[d.Key(i).(String).text] = d.At(i)
	}
	return vars
}

// renderText parses and renders in one go.
func renderText(source string, vars map[string]Value) (string, error) {
	tmpl, err := Parse(source)
	if err != nil {
		return "", err
	}
	out, err := tmpl.Render(vars, Options{Now: goldenNow})
	return out.String(), err
}

// ownWords are the templates at whose faults our message differs from
// Python's; the class of the error is the same unless given here.
var ownWords = map[string]struct{ class, message string }{
	"{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}":       {"TypeError", "macro 'f' got multiple values for argument 'a'"},
	"{% macro f() %}x{% endmacro %}{% call f() %}y{% endcall %}": {"TypeError", "macro 'f' takes no keyword argument 'caller'"},
	"{{ '{} {}'.format(1) }}":                                    {"IndexError", "Replacement index 1 out of range for positional args tuple"},
	"{{ '{'.format() }}":                                         {"ValueError", "expected '}' before end of string"},
	"{{ 'a'|nope }}":                                             {"TemplateRuntimeError", "No filter named 'nope'."},
	"{{ 1 is nope }}":                                            {"TemplateRuntimeError", "No test named 'nope'."},
	"{{ 'a'|trim(1, 2, 3) }}":                                    {"TypeError", "trim() takes at most 2 arguments (4 given)"},
	"{{ ''.__class__.__mro__ }}":                                 {"UndefinedError", "'str object' has no attribute '__class__'"},
	"{% include 'x' %}":                                          {"TemplateSyntaxError", ""},
	"{% break %}":                                                {"TemplateSyntaxError", ""},
}

// classOf is Python's class and message of an error of ours. Syntax errors are
// only told by their class, for both sides word them as they like.
func classOf(err error) (class, message string) {
	var raised *TemplateError
	var runtime *RuntimeError
	var syntax *SyntaxError
	switch {
	case errors.As(err, &raised):
		return "TemplateError", raised.Message
	case errors.As(err, &runtime):
		return runtime.Class, runtime.Message
	case errors.As(err, &syntax):
		return "TemplateSyntaxError", ""
	}
	return "other", err.Error()
}

func TestConstructs(t *testing.T) {
	cases := readConstructs(t)
	if len(cases) < 80 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		want := c.Want
		if own, ok := ownWords[c.Template]; ok {
			want.Class, want.Message = own.class, own.message
		}
		if want.Class == "TemplateSyntaxError" {
			want.Message = ""
		}
		got, err := renderText(c.Template, variables(t, c.Vars))
		if err == nil {
			if want.Class != "" || got != want.Text {
				t.Errorf("%s\n got %q\nwant %q %s", c.Template, got, want.Text, want.Message)
			}
			continue
		}
		if class, message := classOf(err); class != want.Class || message != want.Message {
			t.Errorf("%s\n got %s: %s\nwant %s: %s %q", c.Template, class, message, want.Class, want.Message, want.Text)
		}
	}
}

func TestErrorsNameTheirLine(t *testing.T) {
	_, err := renderText("a\n{% if true %}\n{{ 1 + none }}\n{% endif %}", nil)
	if err == nil || !strings.HasPrefix(err.Error(), "template line 3: TypeError: ") {
		t.Errorf("got %v", err)
	}
	_, err = Parse("a\n\n{{ 1 + }}")
	if err == nil || !strings.HasPrefix(err.Error(), "template line 3: ") {
		t.Errorf("got %v", err)
	}
}
