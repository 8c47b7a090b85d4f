// Package router chooses which instance serves a request, keeps requests that find no
// room in a bounded line, and carries a sequence on elsewhere when its instance dies.
//
// policy.go is the choice itself, a pure function. A [Router] asks a [View] for the
// candidates and opens streams through a [Dialer]. A request that meets a busy, absent
// or dying instance before its first token is sent again, elsewhere or to the same one
// once it is back, for as long as the router is patient.
//
// After tokens were sent the request is resumed: the prompt with all tokens so far,
// marked as such, under the seed the first engine drew. The client sees a pause.
// Text that the dead engine held back, half a character or the beginning of a stop
// string, is not lost: text is a function of the ids, so an engine that is given the
// ids again holds back the same bytes and goes on from there (wire.GenerateRequest's
// resumed). Whatever ids were received, their certain text was received with them.
// Logprobs of a prompt and its vector come before the first token: an engine that takes
// over before then begins with them anew, and what was shown of them is left out.
//
// A request whose engine ends with it is suspected of having ended it (suspect.go), tried
// alone (trial.go), and refused once it is convicted (poison.go); docs/adr/0018 says why.
//
// Caveats: a sequence is resumed only on the version it began on. One whose last event
// was lost after the last token is ended here: by length, by a stop token, or by an
// end-of-text token that the candidates name.
package router
