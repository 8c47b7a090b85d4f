package tokenizer

import (
	"strings"
	"testing"
)

func TestNFC(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"e\u0301e\u0301x":      "\u00e9\u00e9x",
		"\u212b \u2126":        "\u00c5 \u03a9",
		"q\u0307\u0323":        "q\u0323\u0307",
		"\u1100\u1161\u11a8":   "\uac01",
		"\uac00\u11a8":         "\uac01",
		"\uac01\u11a8":         "\uac01\u11a8",
		"\u0958":               "\u0915\u093c", // a composition exclusion
		"\u1e0a\u0323":         "\u1e0c\u0307",
		"\U0001d15e":           "\U0001d157\U0001d165",
		"\xffe\u0301\xff":      "\xff\u00e9\xff",
		"\ufffde\u0301":        "\ufffd\u00e9",
		"e\u0334\u0301":        "\u00e9\u0334", // class 1 does not block class 230
		"e\u0301\u0898\u0316":  "\u00e9\u0898\u0316",
		"e\u0898\u0301":        "e\u0898\u0301", // U+0898 is newer than the reference
		"\U00011935\U00011930": "\U00011935\U00011930",
		"e\u0301\U00011938":    "\u00e9\U00011938",
		"e\u0301" + zalgo:      "\u00e9" + zalgo,
	} {
		if got := nfc(in); got != want {
			t.Errorf("nfc(%+q) is %+q, want %+q", in, got, want)
		}
	}
}

// zalgo is more marks than x/text keeps together.
var zalgo = strings.Repeat("\u0301", 40)
