package e2e

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
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

// until waits for what must come in the end.
func (f *fleet) until(what string, is func() bool) {
	f.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// metric is the sum of a metric over its labels.
func (f *fleet) metric(name string) (sum float64) {
	f.t.Helper()
	req, err := http.NewRequest(http.MethodGet, f.base+"/metrics", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			if err != nil {
				f.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}
