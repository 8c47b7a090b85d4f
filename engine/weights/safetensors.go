package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// safetensorsMaxDims bounds the dimensions of one tensor.
const safetensorsMaxDims = 8

// parseSafetensors reads and checks a header:
//
//	n u64 | n bytes of JSON: { name: { dtype, shape, data_offsets: [begin, end] } } | data
//
// "__metadata__" maps strings to strings. Data offsets count from the end of the
// JSON; the tensors must cover the data without gap or overlap.
func parseSafetensors(path string, r io.Reader, size uint64) (header, error) {
	d := newDecoder(path, r, size)
	n := d.u64("header length")
	if n > d.end-d.at {
		kind := ErrTruncated
		if n > maxHeader {
			kind = ErrCount
		}
		d.fail(kind, "", "header length", n, d.end-d.at)
	}
	text := d.take("header", n)
	if d.err != nil {
		return header{}, d.err
	}
	p := &safetensorsParser{path: path, start: 8 + n, size: size}
	if err := p.parse(text[:n]); err != nil {
		return header{}, err
	}
	return p.header, p.check()
}

// safetensorsParser walks the JSON token by token, so that a key that occurs twice
// is seen.
type safetensorsParser struct {
	path        string
	start, size uint64 // of the data, of the file
	json        *json.Decoder
	header      header
}

func (p *safetensorsParser) parse(text []byte) error {
	if !utf8.Valid(text) {
		return p.syntax(errors.New("header is not UTF-8"))
	}
	p.json = json.NewDecoder(bytes.NewReader(text))
	p.json.UseNumber()
	p.header.meta = map[string]any{}
	err := p.object(func(name string) error {
		if name == "__metadata__" {
			return p.metadata()
		}
		return p.tensor(name)
	})
	if err != nil {
		return p.syntax(err)
	}
	if _, err := p.json.Token(); err != io.EOF {
		return p.syntax(errors.New("more than one JSON value"))
	}
	return nil
}

// syntax wraps what is not yet a FormatError.
func (p *safetensorsParser) syntax(err error) error {
	var format *FormatError
	if errors.As(err, &format) {
		return err
	}
	return &FormatError{Kind: ErrSyntax, Path: p.path, Field: "header length", Offset: 8,
		Value: p.start - 8, Bound: p.size, Detail: err.Error()}
}

// object reads { key: ... } and has each read every key's value.
func (p *safetensorsParser) object(each func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.json.More() {
		token, err := p.json.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if seen[key] {
			return &FormatError{Kind: ErrDuplicate, Path: p.path, Name: key, Field: "key",
				Offset: 8 + uint64(p.json.InputOffset()), Value: 2, Bound: 1}
		}
		seen[key] = true
		if err := each(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

// list reads [ n, ... ] of at most limit unsigned integers.
func (p *safetensorsParser) list(limit int) ([]uint64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	out := []uint64{}
	for p.json.More() {
		if len(out) == limit {
			return nil, fmt.Errorf("more than %d numbers in a list", limit)
		}
		token, err := p.json.Token()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%v where an unsigned integer is due", token)
		}
		out = append(out, n)
	}
	return out, p.delim(']')
}

func (p *safetensorsParser) delim(want json.Delim) error {
	token, err := p.json.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v where %v is due", token, want)
	}
	return nil
}

func (p *safetensorsParser) text() (string, error) {
	token, err := p.json.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%v where a string is due", token)
	}
	return s, nil
}

// metadata reads strings by name.
func (p *safetensorsParser) metadata() error {
	return p.object(func(key string) error {
		value, err := p.text()
		p.header.meta[key] = value
		return err
	})
}

// tensor reads one description.
func (p *safetensorsParser) tensor(name string) error {
	info := Info{Name: name}
	var span []uint64
	fields := 0
	err := p.object(func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			info.Type, err = p.text()
		case "shape":
			info.Shape, err = p.list(safetensorsMaxDims)
		case "data_offsets":
			span, err = p.list(2)
		default:
			err = fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err == nil && (fields != 3 || len(span) != 2) {
		err = errors.New("dtype, shape and data_offsets are due")
	}
	if err == nil {
		err = p.measure(&info, span[0], span[1])
	}
	if err != nil {
		return p.syntax(fmt.Errorf("%q: %w", name, err))
	}
	p.header.infos = append(p.header.infos, info)
	return nil
}

// measure checks type, shape and span of info against each other and the file.
func (p *safetensorsParser) measure(info *Info, begin, end uint64) error {
	bad := &FormatError{Path: p.path, Name: info.Name, Offset: p.start}
	t, known := safetensorsTypes[info.Type]
	if !known {
		bad.Kind, bad.Field, bad.Detail = ErrType, "dtype", info.Type
		return bad
	}
	if data := p.size - p.start; begin > end || end > data {
		bad.Kind, bad.Field, bad.Value, bad.Bound = ErrTruncated, "data_offsets end", end, data
		return bad
	}
	elements, ok := product(info.Shape)
	if !ok || elements > (1<<63-1)/t.bytes || elements*t.bytes != end-begin {
		bad.Kind, bad.Field, bad.Value, bad.Bound = ErrShape, "bytes", end-begin, elements*t.bytes
		return bad
	}
	info.DType, info.Offset, info.Size = t.decode, p.start+begin, end-begin
	if info.Offset%t.bytes != 0 {
		bad.Kind, bad.Field, bad.Value, bad.Bound = ErrMisaligned, "data offset", info.Offset, t.bytes
		return bad
	}
	return nil
}

// check demands that the tensors cover the data exactly.
func (p *safetensorsParser) check() error {
	if err := checkOverlap(p.path, p.header.infos); err != nil {
		return err
	}
	at := p.start
	for _, info := range sortedByOffset(p.header.infos) {
		if info.Offset != at {
			return &FormatError{Kind: ErrGap, Path: p.path, Name: info.Name, Field: "data offset",
				Offset: at, Value: info.Offset, Bound: at}
		}
		at += info.Size
	}
	if at != p.size {
		return &FormatError{Kind: ErrGap, Path: p.path, Field: "file size", Offset: at, Value: p.size, Bound: at}
	}
	return nil
}
