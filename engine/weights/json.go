package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds values within values that are skipped.
const maxNesting = 32

// jsonReader reads the JSON of headers value by value: it keeps nothing but what its
// callers take, so that a header costs no more memory than the tensors it describes.
type jsonReader struct {
	text []byte
	at   int
}

// peek gives the next byte that is not white space; 0 at the end.
func (r *jsonReader) peek() byte {
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// next takes one byte of punctuation.
func (r *jsonReader) next(want byte) error {
	if c := r.peek(); c != want {
		return r.unexpected(fmt.Sprintf("%q", want))
	}
	r.at++
	return nil
}

func (r *jsonReader) unexpected(due string) error {
	if r.at >= len(r.text) {
		return fmt.Errorf("the JSON ends where %s is due", due)
	}
	return fmt.Errorf("%q at byte %d of the JSON where %s is due", r.text[r.at], r.at, due)
}

// object reads { key: ... } and has each read every key's value; the key's bytes belong
// to the reader.
func (r *jsonReader) object(each func(key []byte) error) error {
	return r.items('{', '}', func() error {
		key, err := r.token()
		if err != nil {
			return err
		}
		if err := r.next(':'); err != nil {
			return err
		}
		return each(key)
	})
}

// items reads open, values with commas between them, and end.
func (r *jsonReader) items(open, end byte, item func() error) error {
	if err := r.next(open); err != nil {
		return err
	}
	for first := true; r.peek() != end; first = false {
		if !first {
			if err := r.next(','); err != nil {
				return err
			}
		}
		if err := item(); err != nil {
			return err
		}
	}
	r.at++
	return nil
}

// list reads [ n, ... ] of at most len(into) unsigned integers and gives how many.
func (r *jsonReader) list(into []uint64) (n int, err error) {
	err = r.items('[', ']', func() (err error) {
		if n == len(into) {
			return fmt.Errorf("more than %d numbers in a list", len(into))
		}
		into[n], err = r.unsigned()
		n++
		return err
	})
	return n, err
}

// unsigned reads digits, as JSON allows them, up to 2^64-1.
func (r *jsonReader) unsigned() (n uint64, err error) {
	r.peek()
	start := r.at
	for ; r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9'; r.at++ {
		digit := uint64(r.text[r.at] - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, fmt.Errorf("a number at byte %d of the JSON is above 2^64-1", start)
		}
		n = n*10 + digit
	}
	zero := r.at > start+1 && r.text[start] == '0'
	if r.at == start || zero || r.at < len(r.text) && (r.text[r.at] == '.' || r.text[r.at]|32 == 'e') {
		r.at = start
		return 0, r.unexpected("an unsigned integer")
	}
	return n, nil
}

// str reads a string.
func (r *jsonReader) str() (string, error) {
	b, err := r.token()
	return string(b), err
}

// token reads a string and gives its bytes: those of the header itself, unless some
// are escaped.
func (r *jsonReader) token() ([]byte, error) {
	if r.peek() != '"' {
		return nil, r.unexpected("a string")
	}
	r.at++
	start, escaped := r.at, false
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			if raw := r.text[start : r.at-1]; !escaped {
				return raw, nil
			}
			return unescape(r.text[start : r.at-1])
		case c == '\\':
			escaped = true
			r.at++
		case c < ' ':
			return nil, r.unexpected("a string without control characters")
		}
	}
	return nil, r.unexpected("the end of a string")
}

// unescape replaces what a backslash begins. Half of a pair of surrogates is refused:
// it is no character, and readers make different ones of it.
func unescape(raw []byte) ([]byte, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++ // token has seen that a byte follows
		if raw[i] != 'u' {
			n := strings.IndexByte(`"\/bfnrt`, raw[i])
			if n < 0 {
				return nil, fmt.Errorf("\\%c is no escape", raw[i])
			}
			out = append(out, "\"\\/\b\f\n\r\t"[n])
			continue
		}
		char := hex4(raw[i+1:])
		i += 4
		if utf16.IsSurrogate(char) && bytes.HasPrefix(raw[min(i+1, len(raw)):], []byte(`\u`)) {
			char = utf16.DecodeRune(char, hex4(raw[i+3:]))
			i += 6
		}
		if char < 0 || utf16.IsSurrogate(char) || char == utf8.RuneError {
			return nil, fmt.Errorf(`\u escapes %s stand for no character`, raw[:min(len(raw), 40)])
		}
		out = utf8.AppendRune(out, char)
	}
	return out, nil
}

// hex4 reads four hexadecimal digits; -1 when they are not there.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// skip passes over one value of any kind.
func (r *jsonReader) skip(depth int) error {
	return r.walk(depth, func(depth int) error {
		return r.object(func([]byte) error { return r.skip(depth) })
	})
}

// walk passes over one value and has object read those that are objects.
func (r *jsonReader) walk(depth int, object func(depth int) error) error {
	if depth > maxNesting {
		return fmt.Errorf("more than %d values within each other at byte %d of the JSON", maxNesting, r.at)
	}
	switch r.peek() {
	case '{':
		return object(depth + 1)
	case '[':
		return r.items('[', ']', func() error { return r.walk(depth+1, object) })
	case '"':
		_, err := r.token()
		return err
	}
	start := r.at
	for r.at < len(r.text) && !isPunctuation(r.text[r.at]) {
		r.at++
	}
	if !json.Valid(r.text[start:r.at]) {
		r.at = start
		return r.unexpected("a value")
	}
	return nil
}

func isPunctuation(c byte) bool {
	switch c {
	case ',', ':', '{', '}', '[', ']', '"', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// end demands that nothing follows, and that all was UTF-8.
func (r *jsonReader) end() error {
	if r.peek(); r.at < len(r.text) {
		return r.unexpected("the end")
	}
	if !utf8.Valid(r.text) {
		return errors.New("the JSON is not UTF-8")
	}
	return nil
}

// CheckJSON refuses what readers of JSON make different things of: a key that an object
// has twice, text that is not UTF-8, half of a pair of surrogates, values nested deeper
// than any of a model's files has them. path is what errors call the text.
func CheckJSON(path string, text []byte) error {
	r := &jsonReader{text: text}
	err := r.unique(1)
	if err == nil {
		err = r.end()
	}
	var format *FormatError
	if errors.As(err, &format) {
		format.Path = path
		return format
	}
	if err != nil {
		return &FormatError{Kind: ErrSyntax, Path: path, Field: "size", Value: uint64(len(text)), Bound: uint64(len(text)),
			Offset: uint64(r.at), Detail: err.Error()}
	}
	return nil
}

// unique passes over one value and refuses a key that comes twice in an object.
func (r *jsonReader) unique(depth int) error {
	return r.walk(depth, func(depth int) error {
		seen := map[string]struct{}{}
		return r.object(func(key []byte) error {
			if _, again := seen[string(key)]; again {
				return &FormatError{Kind: ErrDuplicate, Name: string(key), Field: "key", Offset: uint64(r.at), Value: 2, Bound: 1}
			}
			seen[string(key)] = struct{}{}
			return r.unique(depth)
		})
	})
}
