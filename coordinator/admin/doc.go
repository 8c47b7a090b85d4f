// Package admin is the management API (/api/v1) on huma: what operators read and
// change, with its OpenAPI 3.1 document at /openapi.json and a page that renders it
// offline at /docs. Every operation needs a key of the admin role. Handlers validate,
// translate between api types and state, and hand commands to Deps; they decide
// nothing. Errors are RFC 9457 problem documents.
package admin
