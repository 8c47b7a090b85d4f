package tokenizer

// Vocabulary files write each byte as one printable character (GPT-2's
// bytes_to_unicode): printable Latin-1 stands for itself, the other 68 bytes for the
// characters from U+0100 on, in order.
var (
	byteRunes [256]rune
	runeBytes [0x144]int16 // -1 where no byte is meant
)

func init() {
	for i := range runeBytes {
		runeBytes[i] = -1
	}
	spare := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !printableLatin(b) {
			r = spare
			spare++
		}
		byteRunes[b] = r
		runeBytes[r] = int16(b)
	}
}

func printableLatin(b int) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
}

// appendBytes appends the bytes that s, in the vocabulary's alphabet, stands for. It
// says false, appending nothing, where s leaves the alphabet.
func appendBytes(dst []byte, s string) ([]byte, bool) {
	n := len(dst)
	for _, r := range s {
		if int(r) >= len(runeBytes) || runeBytes[r] < 0 {
			return dst[:n], false
		}
		dst = append(dst, byte(runeBytes[r]))
	}
	return dst, true
}
