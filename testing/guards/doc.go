// Package guards proves that the tests of the engine's and the gateway's sharp edges
// can fail: for each edge it names the guard in the code and the test that watches it,
// takes the guard out (in an overlay, the tree stays as it is) and demands that the
// test then fails.
//
// Each edge has hurt users of other engines; the list is that of
// docs/sharp-edges.md. `make test` checks that every guard and every test is still
// there; `make prove-guards` takes them out one by one.
package guards
