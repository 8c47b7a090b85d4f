package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	safetensorsMaxDims = 8    // of one tensor
	safetensorsMaxName = 1024 // bytes
	metadataKey        = "__metadata__"
)

// parseSafetensors reads and checks a header:
//
//	n u64 | n bytes of JSON: { name: { dtype, shape, data_offsets: [begin, end] } } | data
//
// "__metadata__" maps strings to strings. Data offsets count from the end of the
// JSON; the tensors must cover the data without gap or overlap.
func parseSafetensors(path string, r io.Reader, size uint64) (header, error) {
	d := newDecoder(path, r, size)
	n := d.u64("", "header length")
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
	if err := p.parse(text); err != nil {
		return header{}, err
	}
	return p.header, p.check()
}

// safetensorsParser reads the JSON tensor by tensor.
type safetensorsParser struct {
	path        string
	start, size uint64 // of the data, of the file
	json        jsonReader
	header      header
}

func (p *safetensorsParser) parse(text []byte) error {
	p.json.text = text
	// No tensor is described in fewer bytes.
	least := len(`"":{"dtype":"U8","shape":[],"data_offsets":[0,0]},`)
	p.header.infos = make([]Info, 0, min(bytes.Count(text, []byte(`"data_offsets"`)), len(text)/least+1))
	err := p.json.object(func(name []byte) error {
		if string(name) != metadataKey {
			return p.tensor(name)
		}
		if p.header.meta != nil {
			return p.twice(metadataKey)
		}
		p.header.meta = map[string]any{}
		return p.metadata()
	})
	if p.header.meta == nil {
		p.header.meta = map[string]any{}
	}
	if err == nil {
		err = p.json.end()
	}
	if err != nil {
		return p.syntax(err)
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

func (p *safetensorsParser) twice(key string) error {
	return p.bad(ErrDuplicate, key, "key", 2, 1)
}

// metadata reads strings by name.
func (p *safetensorsParser) metadata() error {
	return p.json.object(func(name []byte) error {
		key := string(name)
		if _, again := p.header.meta[key]; again {
			return p.twice(key)
		}
		if len(p.header.meta) == maxPairs {
			return fmt.Errorf("more than %d keys in %s", maxPairs, metadataKey)
		}
		value, err := p.json.str()
		p.header.meta[key] = value
		return err
	})
}

// tensor reads one description.
func (p *safetensorsParser) tensor(key []byte) error {
	if n := len(key); n > safetensorsMaxName {
		return p.bad(ErrCount, "", "name length", uint64(n), safetensorsMaxName)
	}
	p.header.infos = append(p.header.infos, Info{Name: string(key)})
	n := len(p.header.infos)
	info := &p.header.infos[n-1]
	if n > maxTensors {
		return p.bad(ErrCount, info.Name, "tensor count", uint64(n), maxTensors)
	}
	span, err := p.fields(info)
	if err == nil {
		err = p.measure(info, span[0], span[1])
	}
	if err != nil {
		return p.syntax(fmt.Errorf("%q: %w", info.Name, err))
	}
	return nil
}

// bad is about what lies before the reader's place.
func (p *safetensorsParser) bad(kind error, name, field string, value, bound uint64) *FormatError {
	return &FormatError{Kind: kind, Path: p.path, Name: name, Field: field, Offset: 8 + uint64(p.json.at), Value: value, Bound: bound}
}

// safetensorsFields are what describes a tensor.
var safetensorsFields = [3]string{"dtype", "shape", "data_offsets"}

// fields reads dtype, shape and data_offsets, each once.
func (p *safetensorsParser) fields(info *Info) (span [2]uint64, err error) {
	var shape [safetensorsMaxDims]uint64
	var seen [len(safetensorsFields)]bool
	err = p.json.object(func(key []byte) (err error) {
		field := slices.Index(safetensorsFields[:], string(key))
		switch {
		case field < 0:
			return fmt.Errorf("unknown field %q", clip(string(key)))
		case seen[field]:
			return p.twice(string(key))
		}
		seen[field] = true
		switch n := 0; safetensorsFields[field] {
		case "dtype":
			err = p.dtype(info)
		case "shape":
			n, err = p.json.list(shape[:])
			info.Shape = slices.Clone(shape[:n])
		default:
			if n, err = p.json.list(span[:]); err == nil && n != 2 {
				err = errors.New("data_offsets must be two numbers")
			}
		}
		return err
	})
	if err == nil && slices.Contains(seen[:], false) {
		err = errors.New("dtype, shape and data_offsets are due")
	}
	return span, err
}

// dtype takes the name from the table, so that no tensor keeps a copy of its own.
func (p *safetensorsParser) dtype(info *Info) error {
	name, err := p.json.token()
	if err != nil {
		return err
	}
	t, known := safetensorsTypes[string(name)]
	if !known {
		bad := p.bad(ErrType, info.Name, "dtype", 0, 0)
		bad.Detail = clip(string(name))
		return bad
	}
	info.Type = t.name
	return nil
}

// measure checks type, shape and span of info against each other and the file.
func (p *safetensorsParser) measure(info *Info, begin, end uint64) error {
	t := safetensorsTypes[info.Type]
	if data := p.size - p.start; begin > end || end > data {
		return p.bad(ErrTruncated, info.Name, "data_offsets end", end, data)
	}
	elements, ok := product(info.Shape)
	if !ok || elements > (1<<63-1)/t.bytes || elements*t.bytes != end-begin {
		return p.bad(ErrShape, info.Name, "bytes", end-begin, elements*t.bytes)
	}
	info.DType, info.Offset, info.Size = t.decode, p.start+begin, end-begin
	if info.Offset%t.bytes != 0 {
		return p.bad(ErrMisaligned, info.Name, "data offset", info.Offset, t.bytes)
	}
	return nil
}

// check demands that the tensors cover the data exactly.
func (p *safetensorsParser) check() error {
	if err := checkNames(p.path, "key", p.header.infos); err != nil {
		return err
	}
	order, err := checkOverlap(p.path, p.header.infos)
	if err != nil {
		return err
	}
	at := p.start
	for _, i := range order {
		info := &p.header.infos[i]
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
