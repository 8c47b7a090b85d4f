package state

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The page of formats names every command and table by its number.
func TestFormatsPageIsComplete(t *testing.T) {
	b, err := os.ReadFile("../../docs/formats/raft.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for kind, fresh := range blank {
		if row := fmt.Sprintf("\n| %d | %s |", kind, reflect.TypeOf(fresh()).Elem().Name()); !strings.Contains(page, row) {
			t.Errorf("the page lacks %q", row)
		}
	}
	for _, s := range stored {
		if entry := fmt.Sprintf("%d %s", s.number, strings.ReplaceAll(s.table, "_", " ")); !strings.Contains(page, entry) {
			t.Errorf("the page lacks table %q", entry)
		}
	}
}
