package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Prefix of the variables.
const Prefix = "NANOFLEET_"

// FlagFile is the flag that names the file; it is no key of it.
const FlagFile = "config"

// ErrUnknownKey is returned for a key that the command does not have.
var ErrUnknownKey = errors.New("unknown key")

// AddFlag adds --config to a command's flags.
func AddFlag(flags *pflag.FlagSet) {
	flags.String(FlagFile, "", "file of settings, YAML or JSON: keys are these flags' names")
}

// Load gives every flag that the command line does not name its value from environ
// (as of os.Environ) or the file that --config or NANOFLEET_CONFIG names.
func Load(flags *pflag.FlagSet, environ []string) error {
	vars, err := fromEnv(environ)
	if err != nil {
		return err
	}
	if err := apply(flags, FlagFile, vars, "environment"); err != nil {
		return err
	}
	keys := koanf.New(delimiter)
	if f := flags.Lookup(FlagFile); f != nil && f.Value.String() != "" {
		if keys, err = fromFile(flags, f.Value.String()); err != nil {
			return err
		}
	}
	return fill(flags, vars, keys)
}

// fill applies the layers, the strongest first: what is set is not set again.
func fill(flags *pflag.FlagSet, vars, keys *koanf.Koanf) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		if !isKey(f) || err != nil {
			return
		}
		if err = apply(flags, f.Name, vars, "environment"); err == nil {
			err = apply(flags, f.Name, keys, "file")
		}
	})
	return err
}

// isKey tells whether a flag is a setting.
func isKey(f *pflag.Flag) bool { return f != nil && f.Name != FlagFile && f.Name != "help" }

// apply sets a flag that was not set yet from a layer that has it.
func apply(flags *pflag.FlagSet, name string, layer *koanf.Koanf, from string) error {
	f := flags.Lookup(name)
	if f == nil || f.Changed || !layer.Exists(name) {
		return nil
	}
	if err := set(flags, f, layer.Get(name)); err != nil {
		return fmt.Errorf("conf: %s: key %s: %w", from, name, err)
	}
	return nil
}

// set gives a flag a value; a list replaces a list.
func set(flags *pflag.FlagSet, f *pflag.Flag, value any) error {
	items, isList := value.([]any)
	slice, takesList := f.Value.(pflag.SliceValue)
	switch {
	case isList && !takesList:
		return fmt.Errorf("a list of %d, must be one %s", len(items), f.Value.Type())
	case isList:
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = fmt.Sprint(item)
		}
		f.Changed = true
		return slice.Replace(texts)
	case value == nil:
		return errors.New("empty, must have a value")
	}
	if _, isMap := value.(map[string]any); isMap {
		return fmt.Errorf("has keys below it, must be one %s", f.Value.Type())
	}
	if err := flags.Set(f.Name, fmt.Sprint(value)); err != nil {
		return fmt.Errorf("%v, must be a %s", value, f.Value.Type())
	}
	return nil
}

// delimiter of nested keys: one that no name holds, since there are none.
const delimiter = "\x00"

// fromEnv reads the variables with our prefix.
func fromEnv(environ []string) (*koanf.Koanf, error) {
	k := koanf.New(delimiter)
	err := k.Load(env.Provider(delimiter, env.Opt{
		Prefix:      Prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, Prefix)), "_", "-"), value
		},
	}), nil)
	return k, err
}

// fromFile reads a file whose keys must all be flags.
func fromFile(flags *pflag.FlagSet, path string) (*koanf.Koanf, error) {
	k := koanf.New(delimiter)
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("conf: file %s: %w", path, err)
	}
	var unknown []string
	for name := range k.Raw() {
		if !isKey(flags.Lookup(name)) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("conf: file %s: %w %q", path, ErrUnknownKey, strings.Join(unknown, ", "))
	}
	return k, nil
}
