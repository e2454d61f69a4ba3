package config

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	passwordInText = regexp.MustCompile(`(?i)(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'"&]+)`)
	userinfoInURL  = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@]*:)([^\s@]+)(@)`)
)

// isSecretKey tells whether what stands under the key must not be shown.
func isSecretKey(key string) bool {
	k := strings.ToLower(key)
	return strings.Contains(k, "password") && !strings.Contains(k, "password_encryption") || k == "token" || k == "nkey" || k == "secret" ||
		k == "auth_data" || k == "authorization"
}

func maskText(text string) string {
	return passwordInText.ReplaceAllString(maskURL(text), "${1}"+redactedText)
}

func maskURL(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return strings.Replace(text, u.User.String()+"@", u.User.Username()+":"+redactedText+"@", 1)
		}
	}
	return userinfoInURL.ReplaceAllString(text, "${1}"+redactedText+"${3}")
}

// Redacted is the merged document as YAML, with every secret as "***".
func (c *Config) Redacted() []byte {
	if c.tree == nil {
		return nil
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(c.tree.redactedNode("")); err != nil {
		return []byte(fmt.Sprintf("# the configuration cannot be shown: %v\n", err))
	}
	if err := enc.Close(); err != nil {
		return []byte(fmt.Sprintf("# the configuration cannot be shown: %v\n", err))
	}
	return b.Bytes()
}

// String is Redacted, so that a Config in a log line shows no secret.
func (c *Config) String() string { return string(c.Redacted()) }

func (v *value) redactedNode(key string) *yaml.Node {
	if isSecretKey(key) && v.kind != kindNull {
		return textNode(redactedText)
	}
	switch v.kind {
	case kindMap:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range v.keys {
			n.Content = append(n.Content, textNode(k), v.fields[k].redactedNode(k))
		}
		return n
	case kindList:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v.items {
			n.Content = append(n.Content, item.redactedNode(""))
		}
		return n
	case kindNull:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case kindString:
		return textNode(maskText(v.text))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: v.text}
}

// textNode is a text, in quotes where a YAML 1.1 reader would take the bare word for something else.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if scalar(text).kind != kindString {
		n.Style = yaml.SingleQuotedStyle
	}
	return n
}
