package conf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type settings struct {
	data   string
	wait   time.Duration
	found  bool
	addrs  []string
	number int
}

// load runs the layers over settings of every kind.
func load(t *testing.T, args, environ []string, file string) (settings, error) {
	t.Helper()
	var s settings
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.StringVar(&s.data, "data-dir", "/default", "")
	flags.DurationVar(&s.wait, "wait", time.Minute, "")
	flags.BoolVar(&s.found, "found", false, "")
	flags.StringSliceVar(&s.addrs, "addrs", []string{"default:1"}, "")
	flags.IntVar(&s.number, "number", 7, "")
	flags.Bool("help", false, "")
	AddFlag(flags)
	if file != "" {
		path := filepath.Join(t.TempDir(), "settings")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, "NANOFLEET_CONFIG="+path)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s, Load(flags, environ)
}

func TestStrongerLayersWin(t *testing.T) {
	const file = "data-dir: /file\nwait: 3s\nnumber: 9\n"
	for _, c := range []struct {
		name    string
		args    []string
		environ []string
		file    string
		want    string
	}{
		{"default", nil, nil, "", "/default"},
		{"file", nil, nil, file, "/file"},
		{"environment", nil, []string{"NANOFLEET_DATA_DIR=/env"}, file, "/env"},
		{"command line", []string{"--data-dir=/flag"}, []string{"NANOFLEET_DATA_DIR=/env"}, file, "/flag"},
		{"command line says the default", []string{"--data-dir=/default"}, []string{"NANOFLEET_DATA_DIR=/env"}, file, "/default"},
		{"empty variable", nil, []string{"NANOFLEET_DATA_DIR="}, file, ""},
		{"another program's variable", nil, []string{"DATA_DIR=/env"}, file, "/file"},
	} {
		got, err := load(t, c.args, c.environ, c.file)
		if err != nil || got.data != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got.data, err, c.want)
		}
		if c.file != "" && (got.wait != 3*time.Second || got.number != 9) {
			t.Errorf("%s: the file's other keys are %v and %d", c.name, got.wait, got.number)
		}
	}
}

func TestKindsOfValues(t *testing.T) {
	for name, file := range map[string]string{
		"yaml": "data-dir: /d\nwait: 1h30m\nfound: true\naddrs: [a:1, b:2]\nnumber: -3\n",
		"json": `{"data-dir": "/d", "wait": "1h30m", "found": true, "addrs": ["a:1", "b:2"], "number": -3}`,
	} {
		s, err := load(t, nil, nil, file)
		if err != nil || s.data != "/d" || s.wait != 90*time.Minute || !s.found || strings.Join(s.addrs, " ") != "a:1 b:2" || s.number != -3 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	s, err := load(t, nil, []string{"NANOFLEET_ADDRS=a:1,b:2", "NANOFLEET_FOUND=true"}, "")
	if err != nil || strings.Join(s.addrs, " ") != "a:1 b:2" || !s.found {
		t.Errorf("environment: %+v, %v", s, err)
	}
	if s, err := load(t, nil, nil, "addrs: one:1\n"); err != nil || strings.Join(s.addrs, " ") != "one:1" {
		t.Errorf("one where a list may be: %+v, %v", s, err)
	}
}

// What is wrong is named: the layer, the key, the value.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		file    string
		says    []string
	}{
		{"unknown keys", nil, "datadir: /x\nsize: 3\n", []string{"unknown key", "datadir", "size"}},
		{"the file names a file", nil, "config: other\n", []string{"unknown key", "config"}},
		{"what asks for help", nil, "help: true\n", []string{"unknown key", "help"}},
		{"wrong kind in the file", nil, "wait: soon\n", []string{"file", "wait", "soon", "duration"}},
		{"wrong kind in the environment", []string{"NANOFLEET_NUMBER=many"}, "", []string{"environment", "number", "many", "int"}},
		{"a list for one", nil, "data-dir: [a, b]\n", []string{"data-dir", "list"}},
		{"keys below", nil, "data-dir: {path: /x}\n", []string{"data-dir", "below"}},
		{"no value", nil, "data-dir:\n", []string{"data-dir", "empty"}},
		{"no settings at all", nil, "- a\n", []string{"file"}},
		{"no such file", []string{"NANOFLEET_CONFIG=/nonexistent/settings"}, "", []string{"/nonexistent/settings"}},
	} {
		_, err := load(t, nil, c.environ, c.file)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", c.name, err, word)
			}
		}
	}
	if _, err := load(t, nil, nil, "size: 3\n"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("%v, want ErrUnknownKey", err)
	}
}
