package state

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Names and ids are printable, fit in a URL's path segment and cannot climb out of a
// directory.
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
	hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

const (
	nameRule = "want 1 to 128 of the characters A-Z a-z 0-9 . _ : - and a letter or digit first"
	textMax  = 256 // bytes of text that only people read
)

// checkName checks what names a resource, an id or a name.
func checkName(kind, field, name string) error {
	if !nameForm.MatchString(name) {
		return invalid(kind, clip(name), field, nameRule)
	}
	return nil
}

// checkText checks text that only people read.
func checkText(kind, name, field, text string) error {
	if len(text) > textMax || !utf8.ValidString(text) {
		return invalid(kind, name, field, "%d bytes, want at most %d of UTF-8", len(text), textMax)
	}
	return nil
}

// checkHash checks a hex sha256.
func checkHash(kind, name, field, hash string) error {
	if !hashForm.MatchString(hash) {
		return invalid(kind, name, field, "%q is not a sha256 in lower-case hex", clip(hash))
	}
	return nil
}

// checkTime checks Unix milliseconds: after 1970 and before the year 10000.
func checkTime(kind, name, field string, ms int64) error {
	const max = 253402300800000
	if ms < 0 || ms > max {
		return invalid(kind, name, field, "%d is not in 0 to %d milliseconds", ms, int64(max))
	}
	return nil
}

// cleanPath tells whether p is a relative path in its shortest form that stays below
// where it starts.
func cleanPath(p string) bool {
	return p != "" && len(p) <= 512 && utf8.ValidString(p) && path.Clean(p) == p && p != "." &&
		!path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../") && !strings.ContainsAny(p, "\\\x00")
}

// clip keeps a wrong value short enough to show.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// firstOf gives the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
