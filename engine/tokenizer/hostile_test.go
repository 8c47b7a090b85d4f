package tokenizer

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostileTexts are texts meant to take long, each of about size bytes.
func hostileTexts(size int) map[string]string {
	fill := func(s string) string { return strings.Repeat(s, size/len(s)+1) }
	random := rand.New(rand.NewPCG(1, 2))
	any := func(alphabet string) string {
		letters := []rune(alphabet)
		var b strings.Builder
		for b.Len() < size {
			b.WriteRune(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return map[string]string{
		"x":             fill("x"),
		"a":             fill("a"),
		"ab":            fill("ab"),
		"carets":        fill("^"),
		"equals":        fill("="),
		"spaces":        fill(" "),
		"space-newline": fill(" \n"),
		"newlines":      fill("\n"),
		"tabs":          fill("\t"),
		"digits":        fill("0123456789"),
		"one digit":     fill("1"),
		"quotes":        fill("'"),
		"words":         fill("abracadabrazephyrquixoticlongword"),
		"letters":       any("abcdefghijklmnopqrstuvwxyz"),
		"capitals":      any("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		"signs":         any("!#$%&()*+,-./:;<=>?@[]^_`{|}~"),
		"base64":        any("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
		"emoji":         fill("\U0001f600"),
		"family":        fill("\U0001f468\u200d\U0001f469\u200d\U0001f467"),
		"zalgo":         fill("Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319"),
		"acutes":        fill("\u0301"),
		"decomposed":    fill("e\u0301"),
		"unordered":     fill("\u0301\u0323"),
		"marks":         "e" + fill("\u0316"),
		"hangul parts":  fill("\u1112\u1161\u11ab"),
		"meta":          fill("\u2581"),
		"meta words":    fill("\u2581a \u2581"),
		"cjk":           any("的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"),
		"kana":          any("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"),
		"hangul":        any("가나다라마바사아자차카타파하한국어문장"),
		"cyrillic":      any("абвгдежзийклмнопрстуфхцчшщъыьэюя"),
		"arabic":        any("ابتثجحخدذرزسشصضطظعغفقكلمنهوي"),
		"thai":          any("กขฃคฅฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"),
		"mixed":         any("aбあ가ا한é1 ,的😀\u0301\u200b\n"),
		"planes":        fill("\U00020000\U000e0041\U0010ffff\U00013460"),
		"invalid":       fill("\xff"),
		"cut":           fill("\xe2\x82"),
		"noise":         string(noise),
		"nul":           fill("\x00"),
		"almost":        fill("<|im_start|"),
		"controls":      fill("<|im_end|>"),
		"angle":         fill("<"),
		"inst":          fill("[INST]"),
		"bytes":         fill("<0x0A>"),
	}
}

// english is text as people write it: this project's own.
func english(t testing.TB, size int) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range []string{"../../LICENSE", "../../README.md", "../../docs/*.md", "../../docs/adr/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
	}
	return strings.Repeat(b.String(), size/b.Len()+1)[:size]
}

// kindNames are one tokenizer of each kind.
var kindNames = []string{"smollm2", "small_llama", "small_qwen", "small_tekken", "pieces_legacy", "pieces_first", "pieces_split", "pieces", "llama3", "qwen3", "llama2", "mistral_v3"}

// anyTokenizer reads a tokenizer.json or a tokenizer.model.
func anyTokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	read := FromJSON
	if name == "pieces" || name == "mistral_v3" {
		read = FromSentencePiece
	}
	tok, err := read(definition(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
