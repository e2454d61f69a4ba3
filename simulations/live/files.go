package live

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// makeDirectory makes the cluster's directory with copies of the programs in it.
func (c *Cluster) makeDirectory() error {
	dir := c.opts.Dir
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "regent-live-")
	} else if err = os.MkdirAll(dir, 0o755); err == nil {
		var entries []os.DirEntry
		if entries, err = os.ReadDir(dir); err == nil && len(entries) > 0 {
			err = fmt.Errorf("%s is not empty", dir)
		}
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as the kernel will name it
	}
	if err != nil {
		return fmt.Errorf("the directory of the cluster: %w", err)
	}
	c.dir, c.password = dir, rand.Text()
	if err := errors.Join(os.Chmod(dir, 0o755), c.own(dir), c.mkdir("bin"), c.mkdir("tmp")); err != nil {
		return fmt.Errorf("the directory of the cluster: %w", err)
	}
	c.env = append(c.env, "TMPDIR="+filepath.Join(dir, "tmp")) // what a killed process leaves behind goes with the rest
	if c.binary, err = c.copyProgram(c.opts.Binary); err != nil {
		return err
	}
	if c.opts.Store == Nats {
		c.opts.NatsServer, err = c.copyProgram(c.opts.NatsServer)
	}
	return err
}

// own gives a path to the user that the processes run as.
func (c *Cluster) own(path string) error {
	if c.credential == nil {
		return nil
	}
	return os.Lchown(path, int(c.credential.Uid), int(c.credential.Gid))
}

func (c *Cluster) mkdir(parts ...string) error {
	path := filepath.Join(append([]string{c.dir}, parts...)...)
	return errors.Join(os.MkdirAll(path, 0o700), c.own(path))
}

// copyProgram copies a program to where the user of the processes may run it.
func (c *Cluster) copyProgram(from string) (to string, err error) {
	to = filepath.Join(c.dir, "bin", filepath.Base(from))
	in, err := os.Open(from)
	if err != nil {
		return "", fmt.Errorf("copy program: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return "", fmt.Errorf("copy program: %w", err)
	}
	_, err = io.Copy(out, in)
	return to, errors.Join(err, out.Close())
}

func (c *Cluster) writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return c.own(path)
}

type object = map[string]any

// writeFiles writes what a member is started with.
func (m *Member) writeFiles() error {
	for _, d := range []string{"", "run", "socket"} {
		if err := m.c.mkdir(m.Name, d); err != nil {
			return fmt.Errorf("prepare member %s: %w", m.Name, err)
		}
	}
	file, err := m.configuration()
	if err != nil {
		return fmt.Errorf("prepare member %s: %w", m.Name, err)
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return fmt.Errorf("prepare member %s: %w", m.Name, err)
	}
	return m.c.writeFile(m.ConfigFile, string(text))
}

func (m *Member) configuration() (object, error) {
	c := m.c
	dynamic := object{}
	if err := json.Unmarshal([]byte(c.opts.Dynamic), &dynamic); err != nil {
		return nil, fmt.Errorf("dynamic configuration: %w", err)
	}
	parameters := object{"unix_socket_directories": filepath.Join(m.dir, "socket"), "shared_buffers": "32MB", "max_wal_size": "256MB"}
	for k, v := range c.opts.Parameters {
		parameters[k] = v
	}
	clients := "127.0.0.1/32"
	if c.opts.Namespaces {
		clients = subnet + "0/24"
		parameters["dynamic_shared_memory_type"] = "mmap" // in the directory, and removed with it
	}
	regent := object{"runtime_dir": filepath.Join(m.dir, "run"), "event_log": object{"dir": m.EventLogDir}}
	if c.opts.Guard != "" {
		regent["guard"] = c.opts.Guard
	}
	file := object{
		"scope": Scope, "name": m.Name, "restapi": object{"listen": m.address(portREST)},
		"bootstrap": object{"dcs": dynamic, "initdb": []any{"data-checksums", object{"encoding": "UTF8"}, object{"locale": "C"}}},
		"postgresql": object{
			"listen": m.Address(), "data_dir": m.DataDir, "use_pg_rewind": true, "parameters": parameters,
			"pg_hba": []string{"local all all trust", "host all all " + clients + " scram-sha-256", "host replication all " + clients + " scram-sha-256"},
			"authentication": object{
				"superuser":   object{"username": superuser, "password": c.password},
				"replication": object{"username": "replicator", "password": c.password + "r"},
			},
		},
		"watchdog": object{"mode": "off"}, // the machine is not only ours
		"regent":   regent,
		"log":      object{"level": "DEBUG"},
	}
	if tags, ok := c.opts.Tags[m.Name]; ok {
		b, err := json.Marshal(tags)
		section := object{}
		if err == nil {
			err = json.Unmarshal(b, &section)
		}
		if err != nil {
			return nil, fmt.Errorf("tags: %w", err)
		}
		file["tags"] = section
	}
	maps.Copy(file, m.storeSection())
	return file, nil
}

func (m *Member) storeSection() object {
	c := m.c
	switch c.opts.Store {
	case Etcd:
		return object{"etcd3": object{"hosts": c.serverAddresses("")}}
	case Nats:
		return object{"nats": object{"servers": c.serverAddresses("nats://")}}
	}
	members := object{}
	for _, o := range c.members {
		members[o.Name] = object{"client": o.address(portStoreClient), "peer": o.address(portStorePeer)}
	}
	return object{"embedded": object{
		"data_dir": filepath.Join(m.dir, "store"), "listen_client": m.address(portStoreClient), "members": members,
	}}
}
