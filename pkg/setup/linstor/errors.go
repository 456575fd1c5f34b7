package linstor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"
)

// apiError is what LINSTOR said no to, in its own words.
type apiError struct {
	doing string
	text  string
	err   error
}

// Error names what was being done and what LINSTOR said.
func (e *apiError) Error() string { return e.doing + ": " + e.text }

// Unwrap returns the client's error.
func (e *apiError) Unwrap() error { return e.err }

// Hints for what the LS_ variables decide.
const (
	hintAccess = "check LS_USERNAME and LS_PASSWORD, or LS_BEARER_TOKEN_FILE"
	hintTLS    = "check LS_ROOT_CA or LS_ROOT_CA_FILE (who signed the controller's certificate), " +
		"LS_USER_CERTIFICATE and LS_USER_KEY (who you are), and http or https in LS_CONTROLLERS"
	hintAPI = "check that LS_CONTROLLERS is LINSTOR's REST API, and that no proxy or login page is in between (" +
		hintAccess + ")"
)

// fail turns an error of the client into one that says what was being done, what
// LINSTOR said and what to look at. Secrets do not get into it.
func (a *api) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	e := &apiError{doing: doing, err: err}
	var said client.ApiCallError
	switch {
	case errors.As(err, &said):
		e.text = words(said)
	case errors.Is(err, client.NotFoundError):
		e.text = "LINSTOR at " + a.addr + " does not know it, or something that it needs (404)"
	case isTLS(err):
		e.text = fmt.Sprintf("%s: %v; %s", a.addr, err, hintTLS)
	case notJSON(err):
		e.text = fmt.Sprintf("%s answered what is not LINSTOR's (%v); %s", a.addr, err, hintAPI)
	default:
		e.text = fmt.Sprintf("%s: %v", a.addr, err)
	}
	for _, secret := range a.secrets {
		e.text = strings.ReplaceAll(e.text, secret, "***")
	}
	return e
}

// words joins what LINSTOR said: its errors alone where there are some.
func words(said client.ApiCallError) string {
	var texts []string
	denied := false
	for _, rc := range said {
		if failed(rc) {
			texts = append(texts, sentence(rc))
			denied = denied || accessDenied(rc)
		}
	}
	if len(texts) == 0 {
		for _, rc := range said {
			texts = append(texts, sentence(rc))
		}
	}
	if len(said) == 0 {
		texts = []string{"LINSTOR refused it and did not say why: linstor error-reports list"}
	}
	if denied {
		texts = append(texts, hintAccess)
	}
	return strings.Join(texts, "; ")
}

// sentence is one reply with everything that helps a person.
func sentence(rc client.ApiCallRc) string {
	parts := []string{strings.TrimSpace(rc.Message)}
	for _, p := range []struct{ label, text string }{
		{"cause", rc.Cause}, {"details", rc.Details}, {"correction", rc.Correction},
	} {
		if text := strings.TrimSpace(p.text); text != "" {
			parts = append(parts, p.label+": "+text)
		}
	}
	for _, id := range rc.ErrorReportIds {
		parts = append(parts, "linstor error-reports show "+id)
	}
	return strings.Join(parts, "; ")
}

// failed reports whether a reply is an error, not a warning or information.
func failed(rc client.ApiCallRc) bool {
	return uint64(rc.RetCode)&linstor.MaskBitsType == linstor.MaskError
}

// accessDenied reports whether LINSTOR wants other credentials. Its server
// answers these with 401 and 403, which the client does not pass on.
func accessDenied(rc client.ApiCallRc) bool {
	code := uint64(rc.RetCode) & linstor.MaskBitsCode
	return code >= linstor.FailAccDeniedNode&linstor.MaskBitsCode && code < linstor.FailExistsNode&linstor.MaskBitsCode ||
		rc.Is(linstor.FailSignIn) || rc.Is(linstor.FailSignInMissingCredentials)
}

// notJSON reports whether the answer was no JSON, as a proxy's login page is.
func notJSON(err error) bool {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	return errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// unlessExists is the error of a call that makes something. That it is there
// already is none: somebody else made it in between, and it is compared next.
func (a *api) unlessExists(doing string, err error, exists uint64) error {
	if client.IsApiCallError(err, exists) {
		return nil
	}
	return a.fail(doing, err)
}

// orNil is a single object, nil when LINSTOR does not know it.
func orNil[T any](v T, err error) (*T, error) {
	if errors.Is(err, client.NotFoundError) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}
