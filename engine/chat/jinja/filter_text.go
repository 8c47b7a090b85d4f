package jinja

import (
	"net/url"
	"strings"
	"unicode"
)

// textFilters are those that make text of text.
func textFilters() map[string]*builtin {
	return table(
		define("capitalize", "s", caseFilter(capitalize)),
		define("center", "value width?", filterCenter),
		define("escape", "s", filterEscape),
		define("format", "value *", filterFormat),
		define("indent", "s width? first? blank?", filterIndent),
		define("join", "value d? attribute?", filterJoin),
		define("lower", "s", caseFilter(strings.ToLower)),
		define("replace", "s old new count?", filterReplace),
		define("safe", "value", filterSafe),
		define("string", "object", func(c *call) (Value, error) { return c.text(0) }),
		define("title", "s", caseFilter(titleWords)),
		define("trim", "value chars?", filterTrim),
		define("upper", "s", caseFilter(strings.ToUpper)),
		define("urlencode", "value", filterURLEncode),
		define("wordcount", "s", filterWordCount),
	)
}

func caseFilter(change func(string) string) func(c *call) (Value, error) {
	return func(c *call) (Value, error) {
		s, err := c.text(0)
		if err == nil {
			err = c.r.slowly(s)
		}
		if err != nil {
			return nil, err
		}
		return s.rewrite(change(s.text)), nil
	}
}

func filterCenter(c *call) (Value, error) {
	s, err := c.text(0)
	if err != nil {
		return nil, err
	}
	width, err := c.int(1, 80)
	if err != nil {
		return nil, err
	}
	return c.r.pad(s, width, Text(" "), 1, 1)
}

func filterEscape(c *call) (Value, error) {
	s, err := c.text(0)
	return escape(s), err
}

func filterSafe(c *call) (Value, error) {
	s, err := c.text(0)
	s.safe = true
	return s, err
}

func filterFormat(c *call) (Value, error) {
	s, err := c.text(0)
	if err != nil {
		return nil, err
	}
	if len(c.kwargs) == 0 {
		return c.r.percent(s, &Tuple{items: c.rest})
	}
	if len(c.rest) > 0 {
		return nil, typeError("can't handle positional and keyword arguments at the same time")
	}
	return c.r.percent(s, dictOfNamed(c.kwargs))
}

func filterTrim(c *call) (Value, error) {
	s, err := c.text(0)
	if err != nil {
		return nil, err
	}
	take, err := trimmer(c.args[1])
	if err != nil {
		return nil, err
	}
	return s.trim(take, true, true), nil
}

func filterReplace(c *call) (Value, error) {
	var texts [3]String
	for i := range texts {
		var err error
		if texts[i], err = c.text(i); err != nil {
			return nil, err
		}
	}
	count := -1
	if _, none := c.args[3].(None); !none {
		var err error
		if count, err = c.int(3, -1); err != nil {
			return nil, err
		}
	}
	return c.r.replace(texts[0], texts[1].text, texts[2], count)
}

// filterIndent puts width blanks (or a string) before each line but the first.
func filterIndent(c *call) (Value, error) {
	s, err := c.str(0)
	if err != nil {
		return nil, err
	}
	pad, width := Text(" "), 1
	if text, ok := c.args[1].(String); ok {
		pad = text
	} else if width, err = c.int(1, 4); err != nil {
		return nil, err
	}
	lines, err := c.r.lines(concat(s, Text("\n")), false)
	if err != nil {
		return nil, err
	}
	b := c.r.builder()
	for i, line := range lines {
		if i > 0 {
			b.text("\n")
		}
		if i == 0 && c.flag(2, false) || i > 0 && (line.text != "" || c.flag(3, false)) {
			b.repeat(pad, width)
		}
		if b.add(line); b.over {
			break
		}
	}
	return b.value()
}

func filterJoin(c *call) (Value, error) {
	items, err := c.items(0)
	if err != nil {
		return nil, err
	}
	sep, err := c.text(1)
	if err != nil {
		return nil, err
	}
	get, err := c.getter(2, nil)
	if err != nil {
		return nil, err
	}
	b := c.r.builder()
	for i, item := range items {
		v, err := get(item)
		if err != nil {
			return nil, err
		}
		s, err := c.r.str(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.add(sep)
		}
		if b.add(s); b.over {
			break
		}
	}
	return b.value()
}

// filterURLEncode quotes a string for a URL's path.
func filterURLEncode(c *call) (Value, error) {
	s, err := c.text(0)
	if err == nil {
		err = c.r.slowly(s)
	}
	if err != nil {
		return nil, err
	}
	quoted := strings.NewReplacer("+", "%20", "%2F", "/", "%7E", "~").Replace(url.QueryEscape(s.text))
	return s.rewrite(quoted), nil
}

func filterWordCount(c *call) (Value, error) {
	s, err := c.text(0)
	if err == nil {
		err = c.r.slowly(s)
	}
	if err != nil {
		return nil, err
	}
	words, within := 0, false
	for _, r := range s.text {
		part := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if part && !within {
			words++
		}
		within = part
	}
	return Int(words), nil
}
