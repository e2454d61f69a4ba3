package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
)

const (
	typeJSON  = "application/json"
	typeText  = "text/html"
	typePlain = "text/plain; charset=utf-8"
)

// answer is what a door says: complete before the first byte is sent.
type answer struct {
	code        int
	contentType string
	body        []byte
	header      map[string]string
}

func text(code int, body string) answer {
	return answer{code: code, contentType: typeText, body: []byte(body)}
}

// echo is a text that repeats words of the request, which must not be read as HTML.
func echo(code int, body string) answer {
	return answer{code: code, contentType: typePlain, body: []byte(body)}
}

// document answers with JSON that is already encoded.
func document(code int, compact []byte) answer {
	return answer{code: code, contentType: typeJSON, body: spaced(compact)}
}

func value(code int, v any) answer {
	b, err := encode(v)
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	return document(code, b)
}

const errorPage = `<!DOCTYPE HTML>
<html lang="en">
    <head>
        <meta charset="utf-8">
        <title>Error response</title>
    </head>
    <body>
        <h1>Error response</h1>
        <p>Error code: %d</p>
        <p>Message: %s.</p>
    </body>
</html>
`

// failure is a generic error, as a page like those of Patroni's HTTP library.
func failure(code int, message string) answer {
	if message == "" {
		message = http.StatusText(code)
	}
	page := fmt.Sprintf(errorPage, code, html.EscapeString(message))
	return answer{code: code, contentType: "text/html;charset=utf-8", body: []byte(page)}
}

// send writes the answer. HEAD and OPTIONS get its head only.
func (a answer) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	}
	for k, v := range a.header {
		h.Set(k, v)
	}
	body := a.body
	if r.Method == http.MethodOptions {
		body = nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.code)
	if _, err := w.Write(body); err != nil {
		return // the client is gone, and nobody else wants to know
	}
}

// encode writes compact JSON and leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// spaced puts a space after each comma and colon outside of strings, as Python does: scripts grep for
// `"role": "primary"`. The input must be compact JSON.
func spaced(compact []byte) []byte {
	out := make([]byte, 0, len(compact)+len(compact)/8)
	inString, escaped := false, false
	for _, c := range compact {
		out = append(out, c)
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}
