package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftimeNow is strftime_now(format): the time given to the rendering.
func strftimeNow(c *call) (Value, error) {
	format, err := c.str(0)
	if err != nil {
		return nil, err
	}
	return format.rewrite(strftime(format.text, c.r.now)), nil
}

// strftime formats t as C's function does in the C locale; a directive it does
// not know stays as it is.
func strftime(format string, t time.Time) string {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		text, ok := directive(format[i], t)
		switch {
		case !ok && bare:
			text = "%-" + string(format[i])
		case !ok:
			text = "%" + string(format[i])
		case bare:
			text = unpad(text)
		}
		out.WriteString(text)
	}
	return out.String()
}

// unpad takes the leading zeros and blanks off a number.
func unpad(text string) string {
	trimmed := strings.TrimLeft(text, "0 ")
	if trimmed == "" && text != "" {
		return "0"
	}
	return trimmed
}

// goLayouts are the directives that Go's time package formats.
var goLayouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January",
	'd': "02", 'e': "_2", 'm': "01", 'y': "06", 'H': "15", 'I': "03",
	'M': "04", 'S': "05", 'p': "PM", 'Z': "MST", 'z': "-0700", 'j': "002",
	'D': "01/02/06", 'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'r': "03:04:05 PM",
	'x': "01/02/06", 'X': "15:04:05", 'c': "Mon Jan _2 15:04:05 2006", 'Y': "2006", 'n': "\n", 't': "\t", '%': "%",
}

func directive(letter byte, t time.Time) (string, bool) {
	if layout, ok := goLayouts[letter]; ok {
		return t.Format(layout), true
	}
	year, week := t.ISOWeek()
	switch letter {
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), true
	case 'w':
		return fmt.Sprint(int(t.Weekday())), true
	case 'G':
		return fmt.Sprint(year), true
	case 'V':
		return fmt.Sprintf("%02d", week), true
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7), true
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7), true
	}
	return "", false
}
