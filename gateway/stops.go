package gateway

import (
	"math"

	"github.com/nanofleet/nanofleet/engine/chat/jinja"
)

// parseStops reads stop: a string or an array of strings.
func (o object) parseStops(p *options) error {
	items := []jinja.Value{}
	switch v := o.get("stop").(type) {
	case nil:
	case jinja.String:
		items = append(items, v)
	case *jinja.List:
		items = v.Items()
	default:
		return o.wrongType("stop", "a string or an array of strings")
	}
	if len(items) > maxStops {
		return bad("stop", "%d strings. Expected at most %d.", len(items), maxStops)
	}
	for _, item := range items {
		s, ok := item.(jinja.String)
		if !ok {
			return wrongItem("stop", "a string or an array of strings", item)
		}
		if n := len(s.String()); n == 0 || n > maxStopBytes {
			return bad("stop", "a string of %d bytes. Expected 1 to %d.", n, maxStopBytes)
		}
		p.stop = append(p.stop, s.String())
	}
	return nil
}

func (o object) parseStopTokens(p *options) error {
	items, err := o.list("stop_token_ids")
	if err != nil {
		return err
	}
	if len(items) > maxStopTokens {
		return bad("stop_token_ids", "%d ids. Expected at most %d.", len(items), maxStopTokens)
	}
	p.stopTokens, err = tokenIDs("stop_token_ids", items)
	return err
}

// tokenIDs reads an array of token ids.
func tokenIDs(param string, items []jinja.Value) ([]int32, error) {
	ids := make([]int32, 0, len(items))
	for i, item := range items {
		id, ok := integerOf(item)
		if !ok || id < 0 || id > math.MaxInt32 {
			return nil, bad(param, "item %d is %s. Expected a token id.", i, shown(item))
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
