// Package config reads a member's local configuration: Patroni's YAML file or directory, with the
// PATRONI_* environment variables patched over it, and regent's own sections beside Patroni's.
//
// YAML is read as version 1.1, as Patroni reads it: on, off, yes and no are booleans, 0644 is octal.
// A server parameter is kept as the text that PostgreSQL understands, whatever it was in YAML.
//
// Load collects everything that is wrong, not only the first thing: each FieldError names the
// field, its value and what would be right. What is merely suspicious comes back as a Warning: an
// unknown key (with a guess at what was meant), a key of Patroni's that regent does not support, a
// parameter that only the DCS may set. A wrong path is an error, never an empty configuration.
//
// Load is for the agent, LoadClient for the operator's tools, which need no name and no
// PostgreSQL. Validate adds the checks that look at this host's disk. None of them uses the network.
//
// Secrets are of the type Secret and print as "***"; Redacted prints the whole document that way.
//
// The package imports only events, so that everything else may import it: converting a Config into
// the configuration of a driver, a store or a server is the caller's business.
package config
