package jinja

import "strings"

// Namespace is what namespace() makes: the one value a template may change,
// by {% set ns.name = value %}.
type Namespace struct{ attrs *Dict }

func (*Namespace) typeName() string { return "Namespace" }

// set gives an attribute its value; names that begin with _ are refused.
func (n *Namespace) set(name string, value Value) error {
	if strings.HasPrefix(name, "_") {
		return securityError("Chat templates cannot store underscore-prefixed attributes on a namespace, but got %s. "+
			"Please rename the attribute.", quote(name))
	}
	n.attrs.put(dictKey{kind: 's', text: name}, Text(name), value)
	return nil
}

// newNamespace is the global function namespace(mapping?, name=value, ...).
func newNamespace(c *call) (Value, error) {
	dict, err := newDict(c)
	if err != nil {
		return nil, err
	}
	ns := &Namespace{attrs: NewDict()}
	for _, e := range dict.(*Dict).entries {
		name, ok := e.key.(String)
		if !ok {
			ns.attrs.put(e.hash, e.key, e.value)
			continue
		}
		if err := ns.set(name.text, e.value); err != nil {
			return nil, err
		}
	}
	return ns, nil
}
