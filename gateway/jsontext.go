package gateway

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// appendString appends text as a JSON string. Invalid UTF-8 becomes U+FFFD. Line
// breaks of every alphabet are escaped: clients that split a stream at them would
// cut an event in two.
func appendString(b, text []byte) []byte {
	b = append(b, '"')
	plain := 0 // text[plain:i] needs no escape
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[i:])
		}
		if !needsEscape(r, n) {
			i += n
			continue
		}
		b = appendEscape(append(b, text[plain:i]...), r)
		i += n
		plain = i
	}
	return append(append(b, text[plain:]...), '"')
}

func needsEscape(r rune, size int) bool {
	return r < ' ' || r == '"' || r == '\\' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == utf8.RuneError && size == 1
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	case utf8.RuneError:
		return utf8.AppendRune(b, utf8.RuneError)
	}
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
