package model

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nanofleet/nanofleet/engine/chat"
	"github.com/nanofleet/nanofleet/engine/weights"
)

// defaultTemplate is the name of the template that is used where none is asked for.
const defaultTemplate = "default"

// Bounds of named templates. Real models have three.
const (
	maxTemplates    = 16
	maxTemplateName = 64 // bytes
)

// templateSources are the texts of templates by their names.
type templateSources map[string]string

// templatesOf reads a template, or a list of named ones.
func templatesOf(b json.RawMessage) (templateSources, error) {
	var one string
	if len(b) == 0 || b[0] != '[' {
		if len(b) == 0 {
			return nil, nil
		}
		if err := json.Unmarshal(b, &one); err != nil || one == "" {
			return nil, err
		}
		return templateSources{defaultTemplate: one}, nil
	}
	var named []map[string]string
	if err := json.Unmarshal(b, &named); err != nil {
		return nil, err
	}
	sources := templateSources{}
	for _, t := range named {
		if _, twice := sources[t["name"]]; twice {
			return nil, fmt.Errorf("two templates are named %q, and names must be unique", clip(t["name"]))
		}
		sources[t["name"]] = t["template"]
	}
	return sources, nil
}

// readTemplates prefers files of their own to tokenizer_config.json, as transformers
// does.
func (m *Meta) readTemplates(dir string, configured templateSources) error {
	from := func(string) string { return tokenizerConfigName + ": chat_template" }
	files, err := templateFiles(dir)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		configured, from = files, templateFile
	}
	return m.addTemplates(configured, from)
}

// templateFile is where a template of its own lies.
func templateFile(name string) string {
	if name == defaultTemplate {
		return templateName
	}
	return moreTemplatesName + "/" + name + ".jinja"
}

// templateFiles reads chat_template.jinja and the templates that lie in a directory
// beside it.
func templateFiles(dir string) (templateSources, error) {
	names := []string{defaultTemplate}
	entries, err := os.ReadDir(filepath.Join(dir, moreTemplatesName))
	if err := optional(err); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".jinja"); ok && name != defaultTemplate {
			names = append(names, name)
		}
	}
	if len(names) > maxTemplates {
		return nil, &ConfigError{moreTemplatesName, "templates", len(names), fmt.Sprintf("must be at most %d with the default", maxTemplates)}
	}
	sources := templateSources{}
	for _, name := range names {
		text, err := weights.ReadSmall(filepath.Join(dir, filepath.FromSlash(templateFile(name))), maxTemplate)
		if err := optional(err); err != nil {
			return nil, err
		}
		if err == nil {
			sources[name] = string(text)
		}
	}
	return sources, nil
}

// ggufTemplates finds tokenizer.chat_template and its namesakes with a name behind.
func ggufTemplates(file string, meta map[string]any) (templateSources, error) {
	const key, list = "tokenizer.chat_template", "tokenizer.chat_templates"
	sources := templateSources{}
	if source, ok := meta[key].(string); ok {
		sources[defaultTemplate] = source
	}
	for k, value := range meta {
		name, ok := strings.CutPrefix(k, key+".")
		if !ok || name == defaultTemplate && sources[name] != "" {
			continue
		}
		if sources[name], ok = value.(string); !ok {
			return nil, &ConfigError{file, k, value, "must be of type string"}
		}
	}
	names, _ := meta[list].([]string)
	for _, name := range names {
		if _, ok := sources[name]; !ok {
			return nil, &ConfigError{file, list, name, fmt.Sprintf("has no %s.%s", key, clip(name))}
		}
	}
	return sources, nil
}

// addTemplates compiles them. The default must do; another that does not is refused
// when it is asked for.
func (m *Meta) addTemplates(sources templateSources, from func(name string) string) (err error) {
	if len(sources) > maxTemplates {
		return &ConfigError{from(defaultTemplate), "templates", len(sources), fmt.Sprintf("must be at most %d", maxTemplates)}
	}
	for name, source := range sources {
		if source == "" {
			continue // as good as none
		}
		if name == "" || len(name) > maxTemplateName {
			return &ConfigError{from(defaultTemplate), "name", name, fmt.Sprintf("must have 1 to %d bytes", maxTemplateName)}
		}
		if name == defaultTemplate {
			if m.Template, err = chat.Parse(source); err != nil {
				return inFile(from(name), err)
			}
			continue
		}
		t, err := chat.Parse(source)
		m.Templates = append(m.Templates, chat.Named{Name: name, Template: t, Err: inFile(from(name), err)})
	}
	slices.SortFunc(m.Templates, func(a, b chat.Named) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
