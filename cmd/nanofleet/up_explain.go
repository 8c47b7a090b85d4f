package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/nanofleet/nanofleet/api"
)

// explain says what is where and how to go on, in commands that work as they stand.
func (u *upFlags) explain(ctx context.Context, o *options, client *api.Client, out io.Writer) error {
	names, err := client.ServedModels(ctx)
	if err != nil {
		return err
	}
	self, flags := os.Args[0], ""
	if o.data != ".nanofleet" {
		flags = " --data " + o.data
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{what}, args...)...)
	}
	key := filepath.Join(o.data, keyFileName)
	line("endpoint", "%s (OpenAI-compatible)", client.Endpoint())
	line("API key", "%s", key)
	line("logs", "%s", filepath.Join(o.data, "log"))
	if len(names) > 0 {
		curl, err := u.curl(o.data, client.Endpoint())
		if err != nil {
			return err
		}
		line("try", `%s -H "Authorization: Bearer $(cat %s)" -H 'Content-Type: application/json' -d '{"model":"%s","messages":[{"role":"user","content":"Hello!"}]}'`,
			curl, key, u.firstOf(names))
		line("chat", "%s chat%s%s", self, u.argument(names), flags)
	} else {
		line("model", "%s model add FILE.gguf --name NAME%s && %s deploy NAME --wait 5m%s", self, flags, self, flags)
	}
	line("status", "%s status%s", self, flags)
	line("stop", "%s down%s", self, flags)
	return t.Flush()
}

// firstOf is the model to ask for: the one that this `up` has deployed, or any.
func (u *upFlags) firstOf(names []string) string {
	if u.name != "" {
		return u.name
	}
	return names[0]
}

// argument names a model where it must be named.
func (u *upFlags) argument(names []string) string {
	if len(names) == 1 {
		return ""
	}
	return " " + u.firstOf(names)
}

// curl asks for a chat, and believes the certificate that the API has.
func (u *upFlags) curl(data, endpoint string) (string, error) {
	at := endpoint + "/chat/completions"
	to, err := url.Parse(at)
	switch {
	case err != nil:
		return "", err
	case to.Scheme != "https":
		return "curl " + at, nil
	case u.tlsCert == "":
		return "curl --cacert " + filepath.Join(data, caFile) + " " + at, nil
	}
	path := filepath.Join(data, apiFile)
	cert, err := readCert(path)
	if err != nil || cert == nil {
		return "curl " + at, err
	}
	resolve := ""
	if cert.VerifyHostname(to.Hostname()) != nil && len(cert.DNSNames) > 0 {
		// Its name may lead elsewhere, or nowhere yet.
		name := strings.Replace(cert.DNSNames[0], "*", "api", 1)
		resolve = fmt.Sprintf("--resolve %s:%s:%s ", name, to.Port(), to.Hostname())
		to.Host = net.JoinHostPort(name, to.Port())
	}
	return fmt.Sprintf("curl --cacert %s %s%s", path, resolve, to), nil
}
