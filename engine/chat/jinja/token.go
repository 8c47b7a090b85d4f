package jinja

// tokenKind is what a token is to the parser.
type tokenKind uint8

const (
	tokenEOF      tokenKind = iota
	tokenData               // template text outside tags
	tokenVarBegin           // {{
	tokenVarEnd             // }}
	tokenTagBegin           // {%
	tokenTagEnd             // %}
	tokenName               // identifier or keyword
	tokenText               // string literal, escapes resolved
	tokenInt                // integer literal
	tokenFloat              // floating-point literal
	tokenOp                 // operator or punctuation
)

// token is one lexical element of a template.
type token struct {
	kind tokenKind
	text string
	line int
}

// is says whether t is the operator or keyword text.
func (t token) is(kind tokenKind, text string) bool { return t.kind == kind && t.text == text }

// describe names t in a syntax error.
func (t token) describe() string {
	switch t.kind {
	case tokenEOF:
		return "end of template"
	case tokenVarEnd:
		return "end of print statement"
	case tokenTagEnd:
		return "end of statement block"
	case tokenData:
		return "template data"
	}
	return t.text
}

// operators in the order they are tried: longer ones first.
var operators = []string{
	"//", "**", "==", "!=", "<=", ">=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".", ":", "|", ",", ";",
}
