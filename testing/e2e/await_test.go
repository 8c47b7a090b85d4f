package e2e

import (
	"net/http"
	"time"
)

// awaitProcess waits until a coordinator process answers again, on a connection of its
// own: an app whose coordinator was killed sees its connections closed. Nothing more
// is waited for: the next request must be answered however early it comes.
func (f *fleet) awaitProcess() {
	f.t.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if resp, err := fresh.Get(f.base + "/healthz"); err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(end) {
			f.t.Fatal("the API does not come back")
		}
	}
}
