package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nanofleet/nanofleet/api"
)

// advice says what to do next about errors that do not say so themselves.
func advice(err error) string {
	var refused *api.Error
	var path *os.PathError
	var dial *net.OpError
	switch {
	case isUntrusted(err):
		return "the certificate of the fleet's authority is ca.crt in its data directory: copy it to this host and name it with --ca-cert"
	case speaksPlain(err):
		return "that address speaks plain HTTP: begin it with http://"
	case errors.As(err, &refused):
		return aboutRefusal(refused)
	case errors.As(err, &dial) && !errors.Is(err, api.ErrUnreachable):
		return "check the address, and whether this machine reaches it (HTTPS_PROXY is honoured); another Hub is named with --endpoint"
	case errors.As(err, &path) && errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("make %s accessible to this user, or name another place", path.Path)
	}
	return ""
}

func aboutRefusal(e *api.Error) string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "check the key in NANOFLEET_API_KEY, in the file of --key-file, or in api-key of the directory of --data; `nanofleet key create` makes new ones"
	case e.Status == http.StatusForbidden:
		return "this needs a key of the admin role: that which `nanofleet up` left, or one of `nanofleet key create NAME --role admin`"
	case e.Status == http.StatusBadRequest && strings.Contains(e.Message, "HTTP request to an HTTPS server"):
		return "that address speaks TLS: begin it with https://"
	case e.Status == http.StatusNotFound && e.Message == "":
		return "that address is no coordinator of nanofleet; `nanofleet up` prints the right one"
	case e.Status == http.StatusConflict && strings.Contains(e.Message, "is used by deployment"):
		return "`nanofleet undeploy` takes the deployment away first; `nanofleet status` lists them"
	case e.Status == http.StatusUnprocessableEntity && strings.Contains(e.Message, "no model that can be served"):
		return "`nanofleet model inspect` shows what the files are; `nanofleet model add --help` says what can be served"
	case e.Code == "model_not_found":
		return "`nanofleet status` lists the models that are deployed"
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable:
		return "try again in some seconds; `nanofleet status` shows what is busy or loading"
	case e.Status >= http.StatusInternalServerError:
		return "the coordinator's log says more: log/coordinator.log in the directory of --data, or the journal of its service"
	}
	return ""
}

// isUntrusted tells whether the other side's certificate was not believed.
func isUntrusted(err error) bool {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid)
}

// speaksPlain tells whether TLS met none.
func speaksPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// flagError names the flag that was probably meant.
func flagError(c *cobra.Command, err error) error {
	hint := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if best := nearest(unknown.GetSpecifiedName(), names); best != "" {
			hint = fmt.Sprintf(", perhaps you mean --%s", best)
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if want := kinds[invalid.GetFlag().Value.Type()]; want != "" {
			err = fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
		}
	}
	return usagef("%w%s; see `%s --help`", err, hint, c.CommandPath())
}

// kinds of values, as people call them.
var kinds = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint32": "a whole number from 0 on", "uint64": "a whole number from 0 on",
	"float64": "a number", "duration": "a time, as in 90s or 5m", "bool": "true or false",
	"tokens": "a number of tokens from 1 on, as in 32768, 32k or 128Ki", "size": "a size in bytes from 1 on, as in 24GiB",
}

// byFlag says of a field that the fleet refuses which flag of the command it is.
func byFlag(c *cobra.Command, err error) error {
	var refused *api.Error
	if !errors.As(err, &refused) {
		return err
	}
	rest, ok := strings.CutPrefix(refused.Message, "validation failed; body.")
	field, text, _ := strings.Cut(rest, ": ")
	name := strings.ReplaceAll(field[strings.LastIndex(field, ".")+1:], "_", "-")
	if !ok || c.Flag(name) == nil {
		return err
	}
	said := *refused
	said.Message = fmt.Sprintf("--%s: %s; see `%s --help`", name, text, c.CommandPath())
	return &said
}

// orNearest adds to "not found" which name was probably meant.
func orNearest(ctx context.Context, client *api.Client, err error, name string, from names, next string) error {
	if !api.IsNotFound(err) {
		return err
	}
	list, listErr := from(ctx, client)
	if listErr != nil {
		return err
	}
	for i, n := range list { // what a shell shows beside a name is no part of it
		list[i], _, _ = strings.Cut(n, "\t")
	}
	return fmt.Errorf("%w%s; %s", err, perhaps(name, list), next)
}
