package tokenizer

import "slices"

// readDecoder reads the decoder's stages, of which each vocabulary has its own.
func (f *file) readDecoder() error {
	stages, err := f.stages("decoder")
	if err != nil {
		return err
	}
	if f.spec.chars {
		return f.readCharDecoder(stages)
	}
	for _, c := range stages {
		if c.kind != "ByteLevel" {
			return unsupported("decoder %q, only ByteLevel is", c.kind)
		}
		c.ignore("add_prefix_space", "trim_offsets", "use_regex")
		if err := c.done(); err != nil {
			return err
		}
	}
	return nil
}

// readCharDecoder reads Replace, ByteFallback, Fuse and perhaps Strip, or Metaspace.
func (f *file) readCharDecoder(stages []*component) error {
	var kinds []string
	for _, c := range stages {
		kinds = append(kinds, c.kind)
		if err := c.decode(&f.spec.decoder); err != nil {
			return err
		}
	}
	for _, known := range [][]string{
		{"Replace", "ByteFallback", "Fuse", "Strip"}, {"Replace", "ByteFallback", "Fuse"}, {"ByteFallback", "Metaspace"}, {"Metaspace"},
	} {
		if slices.Equal(kinds, known) {
			return nil
		}
	}
	return unsupported("decoder of the stages %q for a SentencePiece vocabulary", kinds)
}

// decode adds one stage to d.
func (c *component) decode(d *decoder) error {
	switch c.kind {
	case "ByteFallback":
		d.bytes = true
	case "Fuse":
	case "Replace":
		old, regex := c.pattern()
		if with := c.text("content", ""); regex || old != metaspaceMark || with != " " {
			return c.unsupported("of %.100q by %.100q, only of %.100q by a space is", old, with, metaspaceMark)
		}
		d.mark = metaspaceMark
	case "Strip":
		content := c.text("content", "")
		start, stop := c.count("start"), c.count("stop")
		if content != " " || stop != 0 {
			return c.unsupported("content %q, stop %d: only spaces at the start are", content, stop)
		}
		d.strip = start
	case "Metaspace":
		mark, scheme, _, err := c.metaspace()
		if err != nil {
			return err
		}
		d.mark, d.stripMarks = mark, scheme != prependNever
	default:
		return unsupported("decoder %q for a SentencePiece vocabulary", c.kind)
	}
	return c.done()
}
