// Package coordinator wires the brain of the fleet: replicated state, sessions with
// agents, placement, the registry of models, the management API and the
// OpenAI-compatible gateway. Everything with thought in it is a package of its own
// below; this one starts them, joins them and stops them in order.
package coordinator
