// Package api is the public face of a fleet for programs: the JSON types of the
// management API (/api/v1), and a Go client for it and for the OpenAI-compatible
// endpoint (/v1). The command line, the dashboard and the tests use nothing else.
//
// Times are RFC 3339 in UTC; sizes are bytes. The coordinator serves the same
// types as an OpenAPI 3.1 document at /openapi.json.
package api
