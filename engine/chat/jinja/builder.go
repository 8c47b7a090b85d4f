package jinja

import "strings"

// builder collects text with its marks, up to a number of bytes. Past that it
// drops what comes and string returns a *LimitError.
type builder struct {
	buf   strings.Builder
	taint []span
	max   int
	over  bool
}

func (r *render) builder() *builder { return &builder{max: r.limits.OutputBytes} }

// fits notes an overflow instead of letting n more bytes in.
func (b *builder) fits(n int) bool {
	if b.over || n > b.max-b.buf.Len() {
		b.over = true
	}
	return !b.over
}

// add appends a string with its marks.
func (b *builder) add(s String) {
	if !b.fits(len(s.text)) {
		return
	}
	for _, t := range s.taint {
		b.taint = mark(b.taint, t.start+b.buf.Len(), t.end+b.buf.Len())
	}
	b.buf.WriteString(s.text)
}

// text appends trusted text.
func (b *builder) text(s string) {
	if b.fits(len(s)) {
		b.buf.WriteString(s)
	}
}

// data appends text that is untrusted when tainted says so.
func (b *builder) data(s string, tainted bool) {
	if s == "" || !b.fits(len(s)) {
		return
	}
	if tainted {
		b.taint = mark(b.taint, b.buf.Len(), b.buf.Len()+len(s))
	}
	b.buf.WriteString(s)
}

// repeat appends s n times.
func (b *builder) repeat(s String, n int) {
	if n <= 0 || s.text == "" {
		return
	}
	if !b.fits(min(n, b.max+1) * len(s.text)) {
		return
	}
	if len(s.taint) == 0 || s.tainted() {
		b.data(strings.Repeat(s.text, n), s.tainted())
		return
	}
	for range n {
		b.add(s)
	}
}

// string is what was collected, or the limit it broke.
func (b *builder) string() (String, error) {
	if b.over {
		return String{}, &LimitError{What: "output bytes", Limit: b.max}
	}
	return String{text: b.buf.String(), taint: b.taint}, nil
}

// value is string as a Value.
func (b *builder) value() (Value, error) {
	s, err := b.string()
	if err != nil {
		return nil, err
	}
	return s, nil
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

// escape is s with HTML's special characters replaced; a safe string stays.
func escape(s String) String {
	if s.safe {
		return s
	}
	b := builder{max: 6 * len(s.text)}
	for _, seg := range s.Segments() {
		b.data(htmlEscaper.Replace(seg.Text), !seg.Trusted)
	}
	return String{text: b.buf.String(), taint: b.taint, safe: true}
}
