package config

import (
	"sort"
	"strings"
)

// readEnvironment picks Patroni's variables; empty ones count as unset.
func readEnvironment(environ []string) map[string]string {
	env := map[string]string{}
	for _, e := range environ {
		if name, text, ok := strings.Cut(e, "="); ok && text != "" && strings.HasPrefix(name, "PATRONI_") {
			env[name] = text
		}
	}
	return env
}

// WithoutSecrets is environ without Patroni's variables, for PostgreSQL and for scripts.
func WithoutSecrets(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, e := range environ {
		if !strings.HasPrefix(e, "PATRONI_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") {
			kept = append(kept, e)
		}
	}
	return kept
}

type variable struct {
	path []string
	list bool // a YAML list, or texts with commas
	tree bool // a YAML mapping
}

// variables maps the names after PATRONI_ to what they set.
var variables = environmentVariables()

func environmentVariables() map[string]variable {
	vars := map[string]variable{
		"LOGLEVEL":                    {path: []string{"log", "level"}},
		"RESTAPI_USERNAME":            {path: []string{"restapi", "authentication", "username"}},
		"RESTAPI_PASSWORD":            {path: []string{"restapi", "authentication", "password"}},
		"CTL_USERNAME":                {path: []string{"ctl", "authentication", "username"}},
		"CTL_PASSWORD":                {path: []string{"ctl", "authentication", "password"}},
		"RESTAPI_ALLOWLIST":           {path: []string{"restapi", "allowlist"}, list: true},
		"ETCD3_HOSTS":                 {path: []string{"etcd3", "hosts"}, list: true},
		"NATS_SERVERS":                {path: []string{"nats", "servers"}, list: true},
		"LOG_STATIC_FIELDS":           {path: []string{"log", "static_fields"}, tree: true},
		"LOG_LOGGERS":                 {path: []string{"log", "loggers"}, tree: true},
		"RESTAPI_HTTP_EXTRA_HEADERS":  {path: []string{"restapi", "http_extra_headers"}, tree: true},
		"RESTAPI_HTTPS_EXTRA_HEADERS": {path: []string{"restapi", "https_extra_headers"}, tree: true},
		"POSTGRESQL_BIN_IS_READY":     {path: []string{"postgresql", "bin_name", "pg_isready"}},
	}
	add := func(prefix string, section []string, keys string) {
		for _, key := range strings.Fields(keys) {
			vars[prefix+strings.ToUpper(key)] = variable{path: append(append([]string(nil), section...), key)}
		}
	}
	add("", nil, "name namespace scope thread_pool_size thread_stack_size")
	add("LOG_", []string{"log"}, "level type traceback_level format dateformat dir max_queue_size file_size file_num mode "+
		"deduplicate_heartbeat_logs")
	add("RESTAPI_", []string{"restapi"}, "listen connect_address certfile keyfile keyfile_password cafile ciphers verify_client "+
		"server_tokens allowlist_include_members request_queue_size thread_pool_size")
	add("CTL_", []string{"ctl"}, "cacert certfile keyfile keyfile_password insecure")
	add("POSTGRESQL_", []string{"postgresql"}, "listen connect_address proxy_address config_dir data_dir pgpass bin_dir")
	add("POSTGRESQL_BIN_", []string{"postgresql", "bin_name"}, strings.Join(binaries, " "))
	add("ETCD3_", []string{"etcd3"}, "host url proxy protocol cacert cert key username password use_proxies srv srv_suffix")
	add("EMBEDDED_", []string{"embedded"}, "data_dir listen_client listen_peer advertise_client advertise_peer initial_cluster "+
		"initial_cluster_state")
	add("NATS_", []string{"nats"}, "bucket domain credentials nkey user password token cacert cert key replicas")
	add("REGENT_", []string{"regent"}, "guard runtime_dir")
	for _, user := range []string{"superuser", "replication", "rewind"} {
		add(strings.ToUpper(user)+"_", []string{"postgresql", "authentication", user},
			"username password sslmode sslcert sslkey sslpassword sslrootcert sslcrl sslcrldir gssencmode channel_binding sslnegotiation")
	}
	return vars
}

// environmentPatch is what the variables say, as a tree to patch over the file's.
func environmentPatch(env map[string]string, file *value, f *findings) *value {
	patch := newMap("environment")
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	sort.Strings(names) // LOG_LEVEL before LOGLEVEL: the newer name is seen first
	for _, name := range names {
		short := strings.TrimPrefix(name, "PATRONI_")
		v, known := variables[short]
		switch {
		case short == "CONFIGURATION":
			f.warn(name, "is ignored: a configuration file is given")
			continue
		case short == "LOGLEVEL" && env["PATRONI_LOG_LEVEL"] != "":
			continue
		case !known:
			unknownVariable(name, short, f)
			continue
		case strings.HasPrefix(short, "ETCD3_") && (short == "ETCD3_USERNAME" || short == "ETCD3_PASSWORD") &&
			file.get("etcd3") == nil && env["PATRONI_ETCD3_HOSTS"] == "" && env["PATRONI_ETCD3_HOST"] == "" &&
			env["PATRONI_ETCD3_URL"] == "":
			continue // as in Patroni: credentials alone make no section
		}
		section := patch.at(v.path[:len(v.path)-1]...)
		section.set(v.path[len(v.path)-1], variableValue(name, env[name], v, f))
	}
	return patch
}

func unknownVariable(name, short string, f *findings) {
	for _, other := range patroniStores {
		if strings.HasPrefix(short, strings.ToUpper(other)+"_") {
			f.warn(name, "configures the store %s, which this version of regent does not support; it is ignored", other)
			return
		}
	}
	words := make([]string, 0, len(variables))
	for k := range variables {
		words = append(words, strings.ToLower(k))
	}
	hint := ""
	if n := nearest(short, words); n != "" {
		hint = "; did you mean PATRONI_" + strings.ToUpper(n) + "?"
	}
	f.warn(name, "unknown variable, ignored%s", hint)
}

// variableValue reads a variable: a text, or YAML where the setting is a list or a mapping.
func variableValue(name, text string, v variable, f *findings) *value {
	if !v.list && !v.tree {
		return &value{kind: kindString, text: text, where: name}
	}
	doc := strings.TrimSpace(text)
	if v.tree && !strings.HasPrefix(doc, "{") {
		doc = "{" + doc + "}"
	}
	if v.list && !strings.HasPrefix(doc, "[") && !strings.HasPrefix(doc, "-") {
		list := &value{kind: kindList, where: name}
		for _, part := range splitComma(doc) {
			list.items = append(list.items, &value{kind: kindString, text: strings.Trim(part, `"'`), where: name})
		}
		return list
	}
	r := &yamlReader{file: name}
	wrapped, err := r.document([]byte("v: " + doc))
	if err != nil || strings.HasPrefix(doc, "-") {
		wrapped, err = r.document([]byte("v:\n" + doc))
	}
	if err != nil {
		f.warn(name, "cannot be read and is ignored: %v", err)
		return &value{kind: kindNull, where: name}
	}
	return wrapped.get("v")
}
