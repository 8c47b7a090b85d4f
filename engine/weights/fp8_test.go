package weights

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/nanofleet/nanofleet/engine/abi"
)

// TestE4M3 compares all 256 values with those of ml_dtypes.
func TestE4M3(t *testing.T) {
	want, bytes, got := goldenValues(t, "testdata/e4m3.f32.gz"), make([]byte, 256), make([]float32, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	if err := Dequantise(abi.E4M3, bytes, got); err != nil || len(want) != 256 {
		t.Fatal(len(want), err)
	}
	for i := range want {
		if want[i] != want[i] && got[i] != got[i] {
			continue
		}
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			t.Errorf("byte %#x is %v, must be %v", i, got[i], want[i])
		}
	}
}

// TestScale finds each weight's scale by its definition.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.IntRange(1, 300).Draw(t, "rows"), rapid.IntRange(1, 300).Draw(t, "cols")
		high, wide := rows, cols
		switch rapid.IntRange(0, 2).Draw(t, "strategy") {
		case 1:
			high = 1
		case 2:
			high, wide = ScaleBlock, ScaleBlock
		}
		scaleRows, scaleCols := (rows+high-1)/high, (cols+wide-1)/wide
		scales, data := make([]float32, scaleRows*scaleCols), make([]float32, rows*cols)
		for i := range scales {
			scales[i] = float32(i + 1)
		}
		for i := range data {
			data[i] = 1
		}
		if err := Scale(data, rows, cols, scales, scaleRows, scaleCols); err != nil {
			t.Fatal(err)
		}
		for i, v := range data {
			if want := scales[i/cols/high*scaleCols+i%cols/wide]; v != want {
				t.Fatalf("%d x %d of %d x %d: weight %d has scale %v, must have %v", scaleRows, scaleCols, rows, cols, i, v, want)
			}
		}
	})
}

// TestScaleRefuses names shapes that are none of the three.
func TestScaleRefuses(t *testing.T) {
	data := make([]float32, 300*300)
	for _, s := range [][2]int{{0, 1}, {1, 0}, {2, 1}, {3, 2}, {1, 300}, {300, 3}, {4, 3}, {300, 300}, {0, 0}} {
		if err := Scale(data, 300, 300, make([]float32, s[0]*s[1]), s[0], s[1]); err == nil {
			t.Errorf("%v scales for 300 x 300 are taken", s)
		}
	}
	if Scale(data[1:], 300, 300, []float32{1}, 1, 1) == nil || Scale(data, 300, 300, nil, 1, 1) == nil || Scale(nil, 0, 0, []float32{1}, 1, 1) == nil {
		t.Error("data of another size are taken")
	}
}
