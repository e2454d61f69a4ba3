package nats

import (
	"regexp"
	"testing"
)

func TestKeysRoundTrip(t *testing.T) {
	legal := regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`) // of KV keys
	seen := map[string]string{}
	for _, path := range []string{
		"service/batman/leader", "service/batman/members/n1", "a/b/c/optime/leader", "x", "service/a.b/leader", "service/a=2Eb/leader",
		"service/a=b/leader", "service/=read/leader", "ns/scope/members/pg 1", "ns/scope/members/*", "ns/scope/members/>", "ns/scope/members/größe",
		"ns/scope/members/\x00\xff", "ns/scope/members/=", "ns/scope/members/..", "ns/UPPER/lower-_0",
	} {
		key := encodePath("/" + path)
		if !legal.MatchString(key) || key[0] == '.' || key[len(key)-1] == '.' {
			t.Errorf("%q became %q, which is no legal KV key", path, key)
		}
		if other, dup := seen[key]; dup {
			t.Errorf("%q and %q both became %q", path, other, key)
		}
		seen[key] = path
		if back, ok := decodeKey(key); !ok || back != path {
			t.Errorf("%q became %q and came back as %q, %v", path, key, back, ok)
		}
	}
	if got := encodePath("//service//batman/"); got != "service.batman" {
		t.Errorf("duplicate slashes: %q", got)
	}
	for _, key := range []string{"", ".", "a..b", ".a", "a.", "a=", "a=2", "a=2e", "a=GG", "a=61", "=read.n1", "a b"} {
		if path, ok := decodeKey(key); ok {
			t.Errorf("%q was decoded as %q", key, path)
		}
	}
}

func FuzzKeysRoundTrip(f *testing.F) {
	f.Add("n1")
	f.Add("=2E.")
	f.Fuzz(func(t *testing.T, name string) {
		key := encodePath("/service/batman/members/" + name)
		path, ok := decodeKey(key)
		if !ok || encodePath(path) != key {
			t.Fatalf("%q: key %q, path %q, %v", name, key, path, ok)
		}
	})
}

func TestBucketName(t *testing.T) {
	for namespace, want := range map[string]string{"service": "regent-service", "a/b.c": "regent-a_b_c"} {
		if got := bucketName(namespace); got != want || !legalBucket(got) {
			t.Errorf("namespace %q: bucket %q, want %q", namespace, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for version, fit := range map[string]bool{
		"2.11.0": true, "2.15.2": true, "3.0.0": true, "2.12.0-RC.1": true, "2.10.29": false, "1.4.1": false, "": false, "weird": false,
	} {
		if err := checkVersion(version, "nats://x"); (err == nil) != fit {
			t.Errorf("version %q: %v", version, err)
		}
	}
}
