package events

import (
	"encoding/json"
	"regexp"
	"strings"
)

// secrecy tells what the name of a value says about it.
type secrecy int

const (
	notSecret   secrecy = iota
	secretValue         // the value itself, or the elements of an array
	secretTree          // everything below
)

// secretWords make a name secret. "auth" alone also names sections that hold harmless things beside a
// password, such as postgresql.authentication with its user names.
var secretWords = []string{
	"password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "apikey", "api_key", "accesskey",
	"access_key", "privatekey", "private_key",
}

// publicNames look secret and are not.
var publicNames = map[string]bool{
	"password_encryption": true, "authentication_timeout": true, "ssl_passphrase_command_supports_reload": true,
	"passwordcheck": true, "author": true,
}

func secretName(name string) secrecy {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if publicNames[name] {
		return notSecret
	}
	for _, w := range secretWords {
		if strings.Contains(name, w) {
			return secretTree
		}
	}
	if strings.Contains(name, "auth") {
		return secretValue
	}
	return notSecret
}

// mayHoldSecret is the quick look that spares almost every text the patterns below: it tells whether the text has an at
// sign or begins one of the words, in any case.
func mayHoldSecret(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '@':
			return true
		case 'p', 's', 't', 'c', 'a', 'b', 'P', 'S', 'T', 'C', 'A', 'B':
			if beginsSecretWord(s[i:]) {
				return true
			}
		}
	}
	return false
}

func beginsSecretWord(s string) bool {
	for _, w := range quickWords {
		if s[0]|0x20 == w[0] && len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			return true
		}
	}
	return false
}

// quickWords begin every name that secretName or the patterns know.
var quickWords = []string{
	"passw", "passphrase", "pwd", "secret", "token", "credential", "auth", "bearer", "apikey", "api_key", "api-key", "accesskey",
	"access_key", "access-key", "privatekey", "private_key", "private-key",
}

const (
	wordPattern  = `(?:passw|passphrase|pwd|secret|token|credential|auth|api[_-]?key|access[_-]?key|private[_-]?key)`
	valuePattern = `('(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.)*"?|\S+)`
)

var (
	// postgres://user:secret@host
	userinfoPattern = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)([^\s/?#"']*)@`)
	// password=secret, as in conninfo strings, environments, pg_hba options
	assignPattern = regexp.MustCompile(`(?i)([a-z0-9_.-]*` + wordPattern + `[a-z0-9_.-]*)(\s*=\s*)` + valuePattern)
	// "password": "secret", in what is not quite JSON
	memberPattern = regexp.MustCompile(`(?i)["']([^"'\s]*` + wordPattern + `[^"'\s]*)["'](\s*:\s*)('[^']*'?|"(?:[^"\\]|\\.)*"?|[^\s,}\]]+)`)
	// --password secret
	flagPattern = regexp.MustCompile(`(?i)(--?[a-z0-9-]*(?:passw|passphrase|secret|token)[a-z0-9-]*)(\s+)([^\s-]\S*)`)
	// password: secret
	colonPattern = regexp.MustCompile(`(?i)\b(password|passwd|passphrase|secret)(\s*:\s*)(\S+)`)
	// Authorization: Basic c2VjcmV0, Bearer c2VjcmV0
	headerPattern = regexp.MustCompile(`(?i)(\bauthorization\s*:\s*[a-z]+\s+|\bbearer\s+)([a-z0-9._~+/=-]{8,})`)
)

// redactText removes secrets from text for people and programs: URLs with userinfo, conninfo strings, command lines.
func redactText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !mayHoldSecret(s) {
		return s
	}
	s = userinfoPattern.ReplaceAllStringFunc(s, redactUserinfo)
	for _, p := range []*regexp.Regexp{assignPattern, memberPattern, flagPattern, colonPattern} {
		s = replaceSecrets(s, p)
	}
	return headerPattern.ReplaceAllString(s, "${1}"+Redacted)
}

// replaceSecrets replaces the third group of every match whose first group names a secret.
func replaceSecrets(s string, p *regexp.Regexp) string {
	var out strings.Builder
	done := 0
	for _, m := range p.FindAllStringSubmatchIndex(s, -1) {
		value := s[m[6]:m[7]]
		if secretName(s[m[2]:m[3]]) == notSecret {
			continue
		}
		out.WriteString(s[done:m[6]])
		if q := value[0]; p == memberPattern && (q == '"' || q == '\'') {
			out.WriteString(string(q) + Redacted + string(q))
		} else {
			out.WriteString(Redacted)
		}
		done = m[7]
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

// redactUserinfo keeps a user's name and drops the password. A lone userinfo is a name for PostgreSQL, and may be a
// token for everybody else.
func redactUserinfo(match string) string {
	scheme, rest, _ := strings.Cut(match, "://")
	user, _, hasPassword := strings.Cut(strings.TrimSuffix(rest, "@"), ":")
	switch {
	case hasPassword:
		return scheme + "://" + user + ":" + Redacted + "@"
	case strings.HasPrefix(strings.ToLower(scheme), "postgres") || user == "":
		return match
	}
	return scheme + "://" + Redacted + "@"
}

// redactDocument redacts a JSON document without touching any other byte of it. With byName the values of secret names
// go too. Text that is no JSON is redacted as text.
func redactDocument(doc string, byName bool) string {
	if !mayHoldSecret(doc) && !strings.Contains(doc, `\u`) { // an escape may hide a letter of a name
		return strings.ToValidUTF8(doc, "\uFFFD")
	}
	if !json.Valid([]byte(doc)) {
		return redactText(doc)
	}
	r := documentRedactor{src: doc, dec: json.NewDecoder(strings.NewReader(doc))}
	r.dec.UseNumber()
	names := nameless
	if byName {
		names = named
	}
	if err := r.value(names, notSecret); err != nil { // cannot be: the document is valid
		return redactText(doc)
	}
	r.out.WriteString(doc[r.copied:])
	return strings.ToValidUTF8(r.out.String(), "\uFFFD")
}

// naming tells what the names of an object are.
type naming int

const (
	named    naming = iota // they say what the values are
	ofSlots                // names of slots, but one level below they are said by us again
	nameless               // they never say anything
)

// documentRedactor copies a document token by token, replacing some.
type documentRedactor struct {
	src    string
	dec    *json.Decoder
	out    strings.Builder
	copied int
}

// value copies one value, which is the value of a name that is as secret as s.
func (r *documentRedactor) value(names naming, s secrecy) error {
	before := int(r.dec.InputOffset())
	tok, err := r.dec.Token()
	if err != nil {
		return err
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '{' {
			err = r.object(names, s)
		} else {
			for r.dec.More() && err == nil {
				err = r.value(names, s)
			}
		}
		if err != nil {
			return err
		}
		_, err = r.dec.Token() // the closing one
		return err
	case string:
		text := redactText(t)
		if s != notSecret && t != "" {
			text = Redacted
		}
		if text != t {
			return r.replace(before, text)
		}
	case json.Number:
		if s != notSecret {
			return r.replace(before, Redacted)
		}
	}
	return nil
}

func (r *documentRedactor) object(names naming, s secrecy) error {
	if s != secretTree {
		s = notSecret
	}
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			return err
		}
		name, _ := tok.(string)
		below, of := s, names
		switch {
		case names == named && name == "slots":
			of = ofSlots
		case names == named:
			below = max(s, secretName(name))
		case names == ofSlots:
			of = named
		}
		if err := r.value(of, below); err != nil {
			return err
		}
	}
	return nil
}

// replace writes text instead of the token that was just read; before is where the one before it ended.
func (r *documentRedactor) replace(before int, text string) error {
	end := int(r.dec.InputOffset())
	start := end - len(strings.TrimLeft(r.src[before:end], " \t\r\n:,"))
	b, err := json.Marshal(text)
	if err != nil {
		return err
	}
	r.out.WriteString(r.src[r.copied:start])
	r.out.Write(b)
	r.copied = end
	return nil
}
