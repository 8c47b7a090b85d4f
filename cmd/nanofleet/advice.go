package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
	switch {
	case isUntrusted(err):
		return "the certificate of the fleet's authority is ca.crt in its data directory: copy it to this host and name it with --ca-cert"
	case speaksPlain(err):
		return "that address speaks plain HTTP: begin it with http://"
	case errors.As(err, &refused):
		return aboutRefusal(refused)
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
	return usagef("%w%s; see `%s --help`", err, hint, c.CommandPath())
}

// orNearest adds to "not found" which name was probably meant.
func orNearest(c *cobra.Command, client *api.Client, err error, name string, from names, next string) error {
	if !api.IsNotFound(err) {
		return err
	}
	list, listErr := from(c.Context(), client)
	if listErr != nil {
		return err
	}
	for i, n := range list { // what a shell shows beside a name is no part of it
		list[i], _, _ = strings.Cut(n, "\t")
	}
	return fmt.Errorf("%w%s; %s", err, perhaps(name, list), next)
}
